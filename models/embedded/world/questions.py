"""Questions about a scene whose one right answer is known, and the words they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from models.embedded.world.scenes import Scene, Thing, draw_scene, evaluation_seed
from models.embedded.world.sprites import COLOURS, KINDS

CAN_ANSWER = (
    "Where is the red car? · Is there a key? · How many stars are there? · What colour is the cat? "
    "· What is on the left? About pictures of up to six of these: " + ", ".join(KINDS) + "."
)
MOST_COUNTED = 6  # there is no word for more
_SIZE_WORDS = ("small", "large")  # a thing of another size is not named by it
_MARGIN = 0.12  # how much further left (right, up, down) makes it the one on the left
_SIDES = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}  # axis, direction

GROUNDING = (
    "where is the {0}?",
    "locate the {0}.",
    "find the {0}.",
    "please provide the bounding box coordinate of the region this sentence describes: the {0}",
)
EXISTENCE = ("is there a {0}?", "is there a {0} in the picture?", "do you see a {0}?")
COUNTING = ("how many {0} are there?", "how many {0} do you see?")
COLOUR = ("what {1} is the {0}?", "which {1} does the {0} have?")
PLACE = ("what is {0}?", "which object is {0}?")
SIDE = ("is the {0} on the left or on the right?", "is the {0} at the top or at the bottom?")
COUNTS = tuple(map(str, range(MOST_COUNTED + 1)))
ANSWERS = ("yes", "no", "left", "right", "top", "bottom", *COUNTS, *COLOURS, *KINDS)


@dataclass(frozen=True)
class Question:
    """What is asked, of which sort, and its one right answer."""

    text: str
    sort: str  # grounding | existence | counting | colour | place | side
    answer: str
    box: tuple[float, float, float, float] | None = None
    subjects: tuple[int, ...] = ()  # of the things there are, those that it is about


def plural(kind: str) -> str:
    return {"fish": "fish"}.get(kind, kind + ("es" if kind.endswith("sh") else "s"))


def box_text(box: tuple[float, float, float, float]) -> str:
    """LLaVA's own style; the far edge of the picture is 0.99, so that every place is one token."""
    return "[" + ", ".join(f"{min(edge, 0.99):.2f}" for edge in box) + "]"


def descriptions(scene: Scene, target: Thing) -> list[str]:
    """Every phrase made of size, colour, kind and side that means `target` and nothing else."""
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
    """The one furthest to a side, if it is so by a clear margin."""
    axis, direction = _SIDES[side]
    ordered = sorted(things, key=lambda thing: direction * thing.centre[axis])
    if len(ordered) < 2:
        return None
    gap = direction * (ordered[1].centre[axis] - ordered[0].centre[axis])
    return ordered[0] if gap >= _MARGIN else None


def grounding(scene: Scene, rng: np.random.Generator) -> Question | None:
    target = scene.things[rng.integers(len(scene.things))]
    phrases = descriptions(scene, target)
    if not phrases:
        return None
    text = str(rng.choice(GROUNDING)).format(rng.choice(phrases))
    return Question(text, "grounding", box_text(target.box), target.box, _index(scene, target))


def existence(scene: Scene, rng: np.random.Generator) -> Question | None:
    """Half yes; a no is often a kind that is there in another colour."""
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
    text = str(rng.choice(EXISTENCE)).format(f"{colour} {kind}".strip())
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


def _index(scene: Scene, target: Thing) -> tuple[int]:
    return (scene.things.index(target),)


def _where_true(flags: Iterable[bool]) -> tuple[int, ...]:
    return tuple(index for index, flag in enumerate(flags) if flag)


Asker = Callable[[Scene, np.random.Generator], Question | None]
OTHERS: tuple[Asker, ...] = (existence, counting, colour, place, side)


def questions(
    scene: Scene,
    rng: np.random.Generator,
    count: int = 10,
    boxes: float = 0.5,
    others: tuple[Asker, ...] = OTHERS,
) -> list[Question]:
    """Up to `count` different questions, the share `boxes` of them grounding."""

    def ask() -> Question | None:
        asker = grounding if rng.random() < boxes else others[rng.integers(len(others))]
        return asker(scene, rng)

    return gathered(ask, count)


def gathered(ask: Callable[[], Question | None], count: int) -> list[Question]:
    """Up to `count` different questions out of three times as many tries."""
    asked: dict[str, Question] = {}
    for _ in range(3 * count):
        question = ask()
        if question is not None:
            asked.setdefault(question.text, question)
        if len(asked) == count:
            break
    return list(asked.values())


def evaluation_questions(
    scenes: int, first: int = 0, pixels: int = 96, draw: Callable[[int, int], Scene] = draw_scene
) -> Iterator[tuple[np.ndarray, Question]]:
    """For each unseen scene one grounding question and one other, the sorts in turn.

    `draw` makes a scene of a seed and a number of pixels.
    """
    for index in range(first, first + scenes):
        seed = evaluation_seed(index)
        scene, rng = draw(seed, pixels), np.random.default_rng([seed, 1])
        for ask in (grounding, OTHERS[index % len(OTHERS)]):
            for _ in range(20):
                question = ask(scene, rng)
                if question is not None:
                    yield scene.picture, question
                    break


def vocabulary() -> list[str]:
    """Every word of every template, for the tokenizer."""
    templates = (*GROUNDING, *EXISTENCE, *COUNTING, *COLOUR, *PLACE, *SIDE)
    fill = " ".join((*COLOURS, *KINDS, *map(plural, KINDS), "small large objects colour color"))
    sides = " ".join(map(_where, _SIDES))
    return [template.format(f"{fill} {sides}", "colour color") for template in templates]
