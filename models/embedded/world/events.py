"""The events of a clip, and questions about their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.embedded.world.clips import Actor, Clip
from models.embedded.world.questions import Question

FIRST = ("what happens first?",)
AFTER = ("what happens after the {0}?", "what happens next after the {0}?")
BEFORE = ("what happens before the {0}?", "what happens just before the {0}?")
DOES = ("what does the {0} do after the {1}?", "after the {1}, what does the {0} do?")
ENTERED = ("what appears before the {0}?", "which object appears before the {0}?")
VERBS = ("appears", "vanishes", "turns", "moves")
WAYS = ("left", "right", "up", "down", "nowhere")


@dataclass(frozen=True, order=True)
class Event:
    """A change of one actor at one time."""

    time: float
    actor: int
    what: str  # "vanishes", "turns red", "moves left"


def way(dx: float, dy: float) -> str:
    """The nearest of four directions; y points down."""
    if max(abs(dx), abs(dy)) < 0.05:
        return "nowhere"
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def events(clip: Clip) -> list[Event]:
    """The events of a clip in order. An actor that moves from the start does not begin to move."""
    return sorted(event for index in range(len(clip.actors)) for event in _of(clip, index))


def _of(clip: Clip, index: int) -> Iterator[Event]:
    actor = clip.actors[index]
    if actor.enter > 0:
        yield Event(actor.enter, index, "appears")
    if actor.begin > actor.enter:
        yield Event(actor.begin, index, f"moves {way(*actor.way)}")
    if actor.turn <= 1:
        yield Event(actor.turn, index, f"turns {actor.later}")
    if actor.leave <= 1:
        yield Event(actor.leave, index, "vanishes")


def alone(clip: Clip, actor: Actor, colour: str = "") -> bool:
    """Whether no other actor has the kind, or none of the kind ever has the colour."""
    return not any(
        other.kind == actor.kind and colour in ("", other.colour, later(other))
        for other in clip.actors
        if other is not actor
    )


def later(actor: Actor) -> str:
    """The last colour of an actor."""
    return actor.later if actor.turn <= 1 else actor.colour


def describe(clip: Clip, event: Event) -> str:
    """The event as text, such as "cat turns red"."""
    return f"{clip.actors[event.actor].kind} {event.what}"


def is_order_clear(clip: Clip, found: list[Event]) -> bool:
    """Whether two events have actors with unambiguous names, and are far enough apart in time."""
    times = np.array([event.time for event in found])
    named = all(alone(clip, clip.actors[event.actor]) for event in found)
    return named and bool((np.diff(times) >= clip.apart).all())


def first(clip: Clip, rng: np.random.Generator) -> Question | None:
    found = events(clip)[:2]
    if not found or not is_order_clear(clip, found):
        return None
    answer, subjects = describe(clip, found[0]), (found[0].actor,)
    return Question(str(rng.choice(FIRST)), "first", answer, subjects=subjects)


def after(clip: Clip, rng: np.random.Generator) -> Question | None:
    """The event next to another one, if no third is as near."""
    found = events(clip)
    if len(found) < 2:
        return None
    index = int(rng.integers(len(found) - 1))
    if not is_order_clear(clip, found[max(0, index - 1) : index + 3]):
        return None
    text = str(rng.choice(AFTER)).format(describe(clip, found[index]))
    subjects = (found[index].actor, found[index + 1].actor)
    return Question(text, "after", describe(clip, found[index + 1]), subjects=subjects)


def before(clip: Clip, rng: np.random.Generator) -> Question | None:
    found = events(clip)
    if len(found) < 2:
        return None
    index = int(rng.integers(1, len(found)))
    if not is_order_clear(clip, found[max(0, index - 2) : index + 2]):
        return None
    text = str(rng.choice(BEFORE)).format(describe(clip, found[index]))
    subjects = (found[index].actor, found[index - 1].actor)
    return Question(text, "before", describe(clip, found[index - 1]), subjects=subjects)


def does(clip: Clip, rng: np.random.Generator) -> Question | None:
    """A question about the first event of an actor after an event of another."""
    found = events(clip)
    if len({event.actor for event in found}) < 2:
        return None
    mark = found[int(rng.integers(len(found)))]
    others = [event for event in found if event.actor != mark.actor]
    target = others[int(rng.integers(len(others)))].actor
    own = [event for event in others if event.actor == target]
    following = [event for event in own if event.time > mark.time]
    near = [event for event in own if abs(event.time - mark.time) < clip.apart]
    if near or not following or not is_order_clear(clip, [mark, *following[:2]]):
        return None
    kind = clip.actors[target].kind
    text = str(rng.choice(DOES)).format(kind, describe(clip, mark))
    return Question(text, "does", following[0].what, subjects=(mark.actor, target))


def entered(clip: Clip, rng: np.random.Generator) -> Question | None:
    """A question about the only actor that appears before an event of another."""
    found = events(clip)
    if not found:
        return None
    mark = found[int(rng.integers(len(found)))]
    appearing = [e for e in found if e.what == "appears" and e.actor != mark.actor]
    earlier = [event for event in appearing if event.time < mark.time]
    near = [event for event in appearing if abs(event.time - mark.time) < clip.apart]
    if near or len(earlier) != 1 or not is_order_clear(clip, [*earlier, mark]):
        return None
    text = str(rng.choice(ENTERED)).format(describe(clip, mark))
    newcomer = earlier[0].actor
    return Question(text, "entered", clip.actors[newcomer].kind, subjects=(mark.actor, newcomer))


def order_vocabulary() -> list[str]:
    """Every word of the questions about order."""
    words = " ".join((*VERBS, *WAYS))
    return [text.format(words, words) for text in (*FIRST, *AFTER, *BEFORE, *DOES, *ENTERED)]
