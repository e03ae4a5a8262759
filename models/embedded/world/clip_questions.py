"""Questions about a clip whose answer needs time, and whose one right answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.embedded.world.clips import APART, Actor, Clip, draw_clip
from models.embedded.world.questions import Question, box_text, gathered
from models.embedded.world.scenes import evaluation_seed
from models.embedded.world.sprites import COLOURS, KINDS

CAN_ANSWER = (
    "Which way does the car move? · What appears last? · What happens first? · What colour does "
    "the star become? · How many objects enter? · Where is the cat at the end? About clips of up "
    "to four of these: " + ", ".join(KINDS) + "."
)
MOTION = ("which way does the {0} move?", "in which direction does the {0} move?")
LAST = ("what appears last?", "which object appears last?")
FIRST = ("what happens first?",)
BECOMES = ("what {1} does the {0} become?", "which {1} does the {0} turn?")
ENTERS = ("how many objects enter?", "how many objects appear later?")
END = (
    "where is the {0} at the end?",
    "locate the {0} at the end.",
    "please provide the bounding box coordinate of the {0} at the end",
)
WAYS = ("left", "right", "up", "down", "nowhere")
EVENTS = ("appears", "vanishes", "turns")
ANSWERS = (*WAYS, *EVENTS, *map(str, range(7)), *COLOURS, *KINDS)


def way(dx: float, dy: float) -> str:
    """The nearest of four directions; y points down."""
    if max(abs(dx), abs(dy)) < 0.05:
        return "nowhere"
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def phrase(clip: Clip, actor: Actor, rng: np.random.Generator) -> str | None:
    """Its kind where no other actor has it, now and then with the colour if it keeps that.

    Where others share the kind, always with the colour; None if that could mean another one too.
    """
    coloured = f"{actor.colour} {actor.kind}"
    if _alone(clip, actor):
        return coloured if actor.turn > 1 and rng.random() < 0.3 else actor.kind
    return coloured if actor.turn > 1 and _alone(clip, actor, actor.colour) else None


def _alone(clip: Clip, actor: Actor, colour: str = "") -> bool:
    """No other actor of its kind is there, or none that ever has the colour."""
    return not any(
        other.kind == actor.kind and colour in ("", other.colour, _later(other))
        for other in clip.actors
        if other is not actor
    )


def _later(actor: Actor) -> str:
    return actor.later if actor.turn <= 1 else actor.colour


def motion(clip: Clip, rng: np.random.Generator) -> Question | None:
    actor = _one(clip, rng)
    template, meant = str(rng.choice(MOTION)), phrase(clip, actor, rng)
    if meant is None:
        return None
    text = template.format(meant)
    return Question(text, "motion", way(*actor.way), subjects=_index(clip, actor))


def last(clip: Clip, rng: np.random.Generator) -> Question | None:
    entered = sorted((a for a in clip.actors if a.enter > 0), key=lambda actor: actor.enter)
    if not entered or (len(entered) > 1 and entered[-1].enter - entered[-2].enter < APART):
        return None
    newest = entered[-1]
    text = str(rng.choice(LAST))
    return Question(text, "last", newest.kind, subjects=_index(clip, newest))


def first(clip: Clip, rng: np.random.Generator) -> Question | None:
    events = sorted(_events(clip))
    if not events or (len(events) > 1 and events[1][0] - events[0][0] < APART):
        return None
    _, index, what = events[0]
    answer = f"{clip.actors[index].kind} {what}"
    return Question(str(rng.choice(FIRST)), "first", answer, subjects=(index,))


def _events(clip: Clip) -> Iterator[tuple[float, int, str]]:
    """What happens in the clip: when, to which actor, and what."""
    for index, actor in enumerate(clip.actors):
        if actor.enter > 0:
            yield actor.enter, index, "appears"
        if actor.leave <= 1:
            yield actor.leave, index, "vanishes"
        if actor.turn <= 1:
            yield actor.turn, index, f"turns {actor.later}"


def becomes(clip: Clip, rng: np.random.Generator) -> Question | None:
    turning = [actor for actor in clip.actors if actor.turn <= 1]
    if not turning:
        return None
    actor = turning[rng.integers(len(turning))]
    spelling = rng.choice(["colour", "color"])
    text = str(rng.choice(BECOMES)).format(actor.kind, spelling)
    if not _alone(clip, actor):
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
OTHERS: tuple[Asker, ...] = (motion, last, first, becomes, enters)


def questions(clip: Clip, rng: np.random.Generator, count: int, boxes: float) -> list[Question]:
    """Up to `count` different questions, the share `boxes` of them for a box."""

    def ask() -> Question | None:
        asker = end if rng.random() < boxes else OTHERS[rng.integers(len(OTHERS))]
        return asker(clip, rng)

    return gathered(ask, count)


def evaluation_questions(
    clips: int,
    first: int = 0,
    frames: int = 8,
    pixels: int = 96,
    draw: Callable[[int, int, int], Clip] = draw_clip,
) -> Iterator[tuple[Clip, Question]]:
    """For each unseen clip one question for a box and one other, the sorts in turn.

    `draw` makes a clip of a seed, a number of frames and a number of pixels.
    """
    for index in range(first, first + clips):
        seed = evaluation_seed(index)
        clip, rng = draw(seed, frames, pixels), np.random.default_rng([seed, 4])
        for ask in (end, OTHERS[index % len(OTHERS)]):
            for _ in range(20):
                question = ask(clip, rng)
                if question is not None:
                    yield clip, question
                    break


def vocabulary() -> list[str]:
    """Every word of every template, for the tokenizer."""
    templates = (*MOTION, *LAST, *FIRST, *BECOMES, *ENTERS, *END)
    fill = " ".join((*COLOURS, *KINDS, *EVENTS))
    return [template.format(fill, "colour color") for template in templates]
