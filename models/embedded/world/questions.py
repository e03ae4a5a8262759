"""Questions about a scene, each with its one right answer, and the vocabulary of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from models.embedded.world.glyphs import TEXTS
from models.embedded.world.grounds import GROUNDS
from models.embedded.world.relations import RELATIONS, named, only, related
from models.embedded.world.scenes import (
    MAX_OBJECTS,
    PIXELS,
    Scene,
    Thing,
    draw_scene,
    evaluation_seed,
)
from models.embedded.world.sprites import COLOURS, KINDS, SIGN

CAN_ANSWER = (
    "Where is the red car? · Where is the cup left of the key? · Is there a key? · How many stars "
    "are there? · What colour is the cat? · What is on the left? · What is right of the cat? · "
    "What does the sign say? · What is in the background? About pictures of up to eight of these: "
    + ", ".join(KINDS)
    + "."
)
MOST_COUNTED = MAX_OBJECTS  # no question has more to count
BY_RELATION = 0.3  # share of the questions for a box that name a relation, if there is one
_SIZE_WORDS = ("small", "large")  # sizes that questions name
_MARGIN = 0.12  # least distance to the next thing on that side, as a share of the picture
_SIDES = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}  # axis, direction

GROUNDING = (
    "where is the {0}?",
    "locate the {0}.",
    "find the {0}.",
    "please provide the bounding box coordinate of the region this sentence describes: the {0}",
)
EXISTENCE = ("is there {0}?", "is there {0} in the picture?", "do you see {0}?")
COUNTING = ("how many {0} are there?", "how many {0} do you see?")
COLOUR = ("what {1} is the {0}?", "which {1} does the {0} have?")
PLACE = ("what is {0}?", "which object is {0}?")
SIDE = ("is the {0} on the left or on the right?", "is the {0} at the top or at the bottom?")
READING = ("what does the {0} say?", "read the {0}.")
BACKGROUND = ("what is in the background?", "what is the background?")
COUNTS = tuple(map(str, range(MOST_COUNTED + 1)))
ANSWERS = (
    *("yes", "no", "left", "right", "top", "bottom"),
    *(*COUNTS, *COLOURS, *KINDS, *TEXTS, *GROUNDS),
)


@dataclass(frozen=True)
class Question:
    """A question, its sort and its one right answer."""

    text: str
    sort: str  # "grounding", or the name of the function that asks
    answer: str
    box: tuple[float, float, float, float] | None = None
    subjects: tuple[int, ...] = ()  # indices of the things that it is about


def plural(kind: str) -> str:
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    odd = {"fish": "fish", "leaf": "leaves", "bus": "buses"}
    return odd.get(kind, f"{kind}s")


def with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def box_text(box: tuple[float, float, float, float]) -> str:
    """A box in LLaVA's notation; the far edge is 0.99, so each coordinate is one token."""
    return "[" + ", ".join(f"{min(edge, 0.99):.2f}" for edge in box) + "]"


def descriptions(scene: Scene, target: Thing) -> list[str]:
    """Every phrase of size, colour, kind and side that names `target` only."""
    found = []
    for use_size, use_colour in product((False, True), repeat=2):
        if use_size and target.size not in _SIZE_WORDS:
            continue
        alike = [
            thing
            for thing in scene.things
            if thing.kind == target.kind
            and (not use_colour or thing.colour == target.colour)
            and (not use_size or thing.size == target.size)
        ]
        words = [target.size] * use_size + [target.colour] * use_colour + [target.kind]
        phrase = " ".join(words)
        if len(alike) == 1:
            found.append(phrase)
        else:
            found += [f"{phrase} {_where(side)}" for side in _SIDES if _most(alike, side) is target]
    return found


def _where(side: str) -> str:
    return f"on the {side}" if side in ("left", "right") else f"at the {side}"


def _most(things: list[Thing] | tuple[Thing, ...], side: str) -> Thing | None:
    """The thing that is clearly the furthest on a side."""
    axis, direction = _SIDES[side]
    ordered = sorted(things, key=lambda thing: direction * thing.centre[axis])
    if len(ordered) < 2:
        return None
    gap = direction * (ordered[1].centre[axis] - ordered[0].centre[axis])
    return ordered[0] if gap >= _MARGIN else None


def grounding(scene: Scene, rng: np.random.Generator) -> Question | None:
    target = scene.things[rng.integers(len(scene.things))]
    beside = related(scene, target) if rng.random() < BY_RELATION else []
    phrases = beside or descriptions(scene, target)
    if not phrases:
        return None
    text = str(rng.choice(GROUNDING)).format(rng.choice(phrases))
    return Question(text, "grounding", box_text(target.box), target.box, _index(scene, target))


def existence(scene: Scene, rng: np.random.Generator) -> Question | None:
    """Half of the answers are yes. A no is often about a kind of another colour in the scene."""
    target = scene.things[rng.integers(len(scene.things))]
    kind, colour = target.kind, target.colour if rng.random() < 0.5 else ""
    wanted = rng.random() < 0.5
    if not wanted and colour and rng.random() < 0.5:
        colour = str(rng.choice(list(COLOURS)))
    elif not wanted:
        kind = str(rng.choice(list(KINDS)))
    there = _where_true(t.kind == kind and colour in ("", t.colour) for t in scene.things)
    if bool(there) is not wanted:
        return None
    text = str(rng.choice(EXISTENCE)).format(with_article(f"{colour} {kind}".strip()))
    return Question(text, "existence", "yes" if there else "no", subjects=there)


def counting(scene: Scene, rng: np.random.Generator) -> Question | None:
    target = scene.things[rng.integers(len(scene.things))]
    subject = rng.choice(["objects", "kind", "colour"])
    if subject == "objects":
        what, counted = "objects", tuple(range(len(scene.things)))
    elif subject == "kind":
        what = plural(target.kind)
        counted = _where_true(thing.kind == target.kind for thing in scene.things)
    else:
        what = f"{target.colour} objects"
        counted = _where_true(thing.colour == target.colour for thing in scene.things)
    if len(counted) > MOST_COUNTED:
        return None
    text = str(rng.choice(COUNTING)).format(what)
    return Question(text, "counting", str(len(counted)), subjects=counted)


def colour(scene: Scene, rng: np.random.Generator) -> Question | None:
    target = scene.things[rng.integers(len(scene.things))]
    phrases = [p for p in descriptions(scene, target) if target.colour not in p.split()]
    if not phrases:
        return None
    spelling = rng.choice(["colour", "color"])
    text = str(rng.choice(COLOUR)).format(rng.choice(phrases), spelling)
    return Question(text, "colour", target.colour, subjects=_index(scene, target))


def place(scene: Scene, rng: np.random.Generator) -> Question | None:
    side = str(rng.choice(list(_SIDES)))
    target = _most(scene.things, side)
    if target is None:
        return None
    text = str(rng.choice(PLACE)).format(_where(side))
    return Question(text, "place", target.kind, subjects=_index(scene, target))


def side(scene: Scene, rng: np.random.Generator) -> Question | None:
    target = scene.things[rng.integers(len(scene.things))]
    phrases = [p for p in descriptions(scene, target) if not set(_SIDES) & set(p.split())]
    axis = int(rng.integers(2))
    where = target.centre[axis]
    if not phrases or abs(where - 0.5) < 0.05:
        return None
    answer = (("left", "right"), ("top", "bottom"))[axis][where > 0.5]
    text = SIDE[axis].format(rng.choice(phrases))
    return Question(text, "side", answer, subjects=_index(scene, target))


def relation(scene: Scene, rng: np.random.Generator) -> Question | None:
    anchor = scene.things[rng.integers(len(scene.things))]
    how, names = str(rng.choice(list(RELATIONS))), named(anchor, scene.things)
    target = only(scene, list(scene.things), anchor, how)
    if target is None or not names:
        return None
    text = str(rng.choice(PLACE)).format(f"{how} the {rng.choice(names)}")
    return Question(text, "relation", target.kind, subjects=_index(scene, target))


def reading(scene: Scene, rng: np.random.Generator) -> Question | None:
    signs = [thing for thing in scene.things if thing.kind == SIGN]
    if not signs:
        return None
    target = signs[rng.integers(len(signs))]
    phrases = descriptions(scene, target)
    if not phrases:
        return None
    text = str(rng.choice(READING)).format(rng.choice(phrases))
    return Question(text, "reading", target.text, subjects=_index(scene, target))


def background(scene: Scene, rng: np.random.Generator) -> Question | None:
    return Question(str(rng.choice(BACKGROUND)), "background", scene.ground)


def _index(scene: Scene, target: Thing) -> tuple[int]:
    return (scene.things.index(target),)


def _where_true(flags: Iterable[bool]) -> tuple[int, ...]:
    return tuple(index for index, flag in enumerate(flags) if flag)


Asker = Callable[[Scene, np.random.Generator], Question | None]
OTHERS: tuple[Asker, ...] = (
    *(existence, counting, colour, place, side),
    *(relation, reading, background),
)


def questions(
    scene: Scene, rng: np.random.Generator, count: int = 10, boxes: float = 0.5
) -> list[Question]:
    """Up to `count` different questions; a share `boxes` of them asks for a box."""

    def ask() -> Question | None:
        asker = grounding if rng.random() < boxes else OTHERS[rng.integers(len(OTHERS))]
        return asker(scene, rng)

    return gathered(ask, count)


def gathered(ask: Callable[[], Question | None], count: int) -> list[Question]:
    """Up to `count` different questions from three times as many tries."""
    asked: dict[str, Question] = {}
    for _ in range(3 * count):
        question = ask()
        if question is not None:
            asked.setdefault(question.text, question)
        if len(asked) == count:
            break
    return list(asked.values())


def evaluation_questions(
    scenes: int,
    first: int = 0,
    pixels: int = PIXELS,
    draw: Callable[[int, int], Scene] = draw_scene,
) -> Iterator[tuple[np.ndarray, Question]]:
    """For each unseen scene, one question for a box and one of the other sorts, which alternate.

    A sort that a scene does not allow is replaced by the next one. `draw` makes a scene from a seed
    and a height.
    """
    for index in range(first, first + scenes):
        seed, turn = evaluation_seed(index), index % len(OTHERS)
        scene, rng = draw(seed, pixels), np.random.default_rng([seed, 1])
        others = [OTHERS[index] for index in (turn, *rng.permutation(len(OTHERS)))]
        for askers in ([grounding], others):
            tries = (ask(scene, rng) for ask in askers for _ in range(20))
            question = next((question for question in tries if question is not None), None)
            if question is not None:
                yield scene.picture, question


def vocabulary() -> list[str]:
    """Every word of every template, for the tokenizer."""
    templates = (
        *(*GROUNDING, *EXISTENCE, *COUNTING, *COLOUR, *PLACE, *SIDE),
        *(*READING, *BACKGROUND),
    )
    fill = " ".join((*COLOURS, *KINDS, *map(plural, KINDS), "a an small large objects"))
    where = " ".join((*map(_where, _SIDES), *RELATIONS, "the"))
    return [template.format(f"{fill} {where}", "colour color") for template in templates]
