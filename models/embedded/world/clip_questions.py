"""Questions about a clip that need several frames, each with its one right answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.embedded.world import events
from models.embedded.world.clips import FRAMES, PIXELS, Actor, Clip, draw_clip
from models.embedded.world.events import VERBS, WAYS, alone, way
from models.embedded.world.questions import Question, box_text, gathered
from models.embedded.world.scenes import evaluation_seed
from models.embedded.world.sprites import COLOURS, KINDS

CAN_ANSWER = (
    "Which way does the car move? · What appears last? · What happens first? · What happens after "
    "the car vanishes? · What does the cat do after the car vanishes? · What appears before the "
    "star turns red? · What colour does the star become? · How many objects enter? · Where is the "
    "cat at the end? About clips of up to four of these: " + ", ".join(KINDS) + "."
)
MOTION = ("which way does the {0} move?", "in which direction does the {0} move?")
LAST = ("what appears last?", "which object appears last?")
BECOMES = ("what {1} does the {0} become?", "which {1} does the {0} turn?")
ENTERS = ("how many objects enter?", "how many objects appear later?")
END = (
    "where is the {0} at the end?",
    "locate the {0} at the end.",
    "please provide the bounding box coordinate of the {0} at the end",
)
ANSWERS = (*WAYS, *VERBS, *map(str, range(7)), *COLOURS, *KINDS)


def phrase(clip: Clip, actor: Actor, rng: np.random.Generator) -> str | None:
    """The kind of an actor, sometimes with its colour if that does not change.

    Always with the colour if other actors have this kind; None if even that is ambiguous.
    """
    coloured = f"{actor.colour} {actor.kind}"
    if alone(clip, actor):
        return coloured if actor.turn > 1 and rng.random() < 0.3 else actor.kind
    return coloured if actor.turn > 1 and alone(clip, actor, actor.colour) else None


def motion(clip: Clip, rng: np.random.Generator) -> Question | None:
    actor = _one(clip, rng)
    template, meant = str(rng.choice(MOTION)), phrase(clip, actor, rng)
    if meant is None:
        return None
    text = template.format(meant)
    return Question(text, "motion", way(*actor.way), subjects=_index(clip, actor))


def last(clip: Clip, rng: np.random.Generator) -> Question | None:
    entered = sorted((a for a in clip.actors if a.enter > 0), key=lambda actor: actor.enter)
    if not entered or (len(entered) > 1 and entered[-1].enter - entered[-2].enter < clip.apart):
        return None
    newest = entered[-1]
    if not alone(clip, newest):
        return None
    text = str(rng.choice(LAST))
    return Question(text, "last", newest.kind, subjects=_index(clip, newest))


def becomes(clip: Clip, rng: np.random.Generator) -> Question | None:
    turning = [actor for actor in clip.actors if actor.turn <= 1]
    if not turning:
        return None
    actor = turning[rng.integers(len(turning))]
    spelling = rng.choice(["colour", "color"])
    text = str(rng.choice(BECOMES)).format(actor.kind, spelling)
    if not alone(clip, actor):
        return None
    return Question(text, "becomes", actor.later, subjects=_index(clip, actor))


def enters(clip: Clip, rng: np.random.Generator) -> Question | None:
    entered = tuple(index for index, actor in enumerate(clip.actors) if actor.enter > 0)
    return Question(str(rng.choice(ENTERS)), "enters", str(len(entered)), subjects=entered)


def end(clip: Clip, rng: np.random.Generator) -> Question | None:
    actor = _one(clip, rng)
    there = actor.at(1.0)
    if there is None:
        return None
    template, meant = str(rng.choice(END)), phrase(clip, actor, rng)
    if meant is None:
        return None
    text = template.format(meant)
    return Question(text, "end", box_text(there.box), there.box, _index(clip, actor))


def _index(clip: Clip, actor: Actor) -> tuple[int]:
    return (clip.actors.index(actor),)


def _one(clip: Clip, rng: np.random.Generator) -> Actor:
    return clip.actors[rng.integers(len(clip.actors))]


Asker = Callable[[Clip, np.random.Generator], Question | None]
OTHERS: tuple[Asker, ...] = (
    *(motion, last, events.first, becomes, enters),
    *(events.after, events.before, events.does, events.entered),
)


def questions(clip: Clip, rng: np.random.Generator, count: int, boxes: float) -> list[Question]:
    """Up to `count` different questions; a share `boxes` of them asks for a box."""

    def ask() -> Question | None:
        asker = end if rng.random() < boxes else OTHERS[rng.integers(len(OTHERS))]
        return asker(clip, rng)

    return gathered(ask, count)


def evaluation_questions(
    clips: int,
    first: int = 0,
    frames: int = FRAMES,
    pixels: int = PIXELS,
    draw: Callable[[int, int, int], Clip] = draw_clip,
) -> Iterator[tuple[Clip, Question]]:
    """For each unseen clip, one question for a box and one of the other sorts, which alternate.

    A sort that a clip does not allow is replaced by the next one. `draw` makes a clip from a seed,
    a number of frames and a height.
    """
    for index in range(first, first + clips):
        seed, turn = evaluation_seed(index), index % len(OTHERS)
        clip, rng = draw(seed, frames, pixels), np.random.default_rng([seed, 4])
        others = [OTHERS[index] for index in (turn, *rng.permutation(len(OTHERS)))]
        for askers in ([end], others):
            tries = (ask(clip, rng) for ask in askers for _ in range(20))
            question = next((question for question in tries if question is not None), None)
            if question is not None:
                yield clip, question


def vocabulary() -> list[str]:
    """Every word of every template, for the tokenizer."""
    templates = (*MOTION, *LAST, *BECOMES, *ENTERS, *END)
    fill = " ".join((*COLOURS, *KINDS))
    ours = [template.format(fill, "colour color") for template in templates]
    return [*ours, *events.order_vocabulary()]
