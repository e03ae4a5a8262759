"""What happens in a clip and when, and questions whose answer is the order of it."""

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
    """Something that happens at one time to one actor."""

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
    """All of a clip, in order. What moves from its first sight on does not begin to move."""
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
    """No other actor of its kind is there, or none that ever has the colour."""
    return not any(
        other.kind == actor.kind and colour in ("", other.colour, later(other))
        for other in clip.actors
        if other is not actor
    )


def later(actor: Actor) -> str:
    """Its last colour."""
    return actor.later if actor.turn <= 1 else actor.colour


def in_words(clip: Clip, event: Event) -> str:
    """As in "cat turns red"."""
    return f"{clip.actors[event.actor].kind} {event.what}"


def told_apart(clip: Clip, found: list[Event]) -> bool:
    """The events are of actors that can be named, and far enough from each other in time."""
    times = np.array([event.time for event in found])
    named = all(alone(clip, clip.actors[event.actor]) for event in found)
    return named and bool((np.diff(times) >= clip.apart).all())


def first(clip: Clip, rng: np.random.Generator) -> Question | None:
    found = events(clip)[:2]
    if not found or not told_apart(clip, found):
        return None
    answer, subjects = in_words(clip, found[0]), (found[0].actor,)
    return Question(str(rng.choice(FIRST)), "first", answer, subjects=subjects)


def after(clip: Clip, rng: np.random.Generator) -> Question | None:
    """The one next to an event, which is the only one so near."""
    found = events(clip)
    if len(found) < 2:
        return None
    index = int(rng.integers(len(found) - 1))
    if not told_apart(clip, found[max(0, index - 1) : index + 3]):
        return None
    text = str(rng.choice(AFTER)).format(in_words(clip, found[index]))
    subjects = (found[index].actor, found[index + 1].actor)
    return Question(text, "after", in_words(clip, found[index + 1]), subjects=subjects)


def before(clip: Clip, rng: np.random.Generator) -> Question | None:
    found = events(clip)
    if len(found) < 2:
        return None
    index = int(rng.integers(1, len(found)))
    if not told_apart(clip, found[max(0, index - 2) : index + 2]):
        return None
    text = str(rng.choice(BEFORE)).format(in_words(clip, found[index]))
    subjects = (found[index].actor, found[index - 1].actor)
    return Question(text, "before", in_words(clip, found[index - 1]), subjects=subjects)


def does(clip: Clip, rng: np.random.Generator) -> Question | None:
    """What one actor does first after something that happens to another."""
    found = events(clip)
    if len({event.actor for event in found}) < 2:
        return None
    mark = found[int(rng.integers(len(found)))]
    others = [event for event in found if event.actor != mark.actor]
    target = others[int(rng.integers(len(others)))].actor
    own = [event for event in others if event.actor == target]
    following = [event for event in own if event.time > mark.time]
    near = [event for event in own if abs(event.time - mark.time) < clip.apart]
    if near or not following or not told_apart(clip, [mark, *following[:2]]):
        return None
    kind = clip.actors[target].kind
    text = str(rng.choice(DOES)).format(kind, in_words(clip, mark))
    return Question(text, "does", following[0].what, subjects=(mark.actor, target))


def entered(clip: Clip, rng: np.random.Generator) -> Question | None:
    """The only actor that appears before something that happens to another."""
    found = events(clip)
    if not found:
        return None
    mark = found[int(rng.integers(len(found)))]
    appearing = [e for e in found if e.what == "appears" and e.actor != mark.actor]
    earlier = [event for event in appearing if event.time < mark.time]
    near = [event for event in appearing if abs(event.time - mark.time) < clip.apart]
    if near or len(earlier) != 1 or not told_apart(clip, [*earlier, mark]):
        return None
    text = str(rng.choice(ENTERED)).format(in_words(clip, mark))
    newcomer = earlier[0].actor
    return Question(text, "entered", clip.actors[newcomer].kind, subjects=(mark.actor, newcomer))


def order_vocabulary() -> list[str]:
    """Every word of the questions about order."""
    words = " ".join((*VERBS, *WAYS))
    return [text.format(words, words) for text in (*FIRST, *AFTER, *BEFORE, *DOES, *ENTERED)]
