"""Draws clips with known contents: objects move, stop, grow, appear, change colour and vanish.

`draw_clip(seed, frames)` samples a continuous clip: a seed gives the same clip for any number of
frames and any size. The frames are scenes like the pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.embedded.world.grounds import choose_ground, paint_ground
from models.embedded.world.scenes import (
    GroundPainter,
    Ranges,
    Scene,
    Shape,
    Thing,
    covered,
    paint,
    picture_size,
    sign_text,
)
from models.embedded.world.sprites import COLOURS, KINDS, SIGN, sprite_aspect
from models.uploads.media import Media

MAX_ACTORS = 4
ACTORS = (1, 2, 3, 3, 4, 4)  # of a clip; one that occurs twice is twice as frequent
FRAMES, PIXELS, SHAPE = 16, 128, (16, 16)  # of a clip: pixels high, rows and columns of cells
APART = 0.15  # share of the clip between two events, at least: the frames show their order
PAUSES = 0.35  # share of the moving actors that first stand still
SECONDS = 3.0  # length of a clip when it is played
# Longest side of an actor at first, as a share of the frame's shorter side.
LONGEST: Ranges = {"medium": (0.24, 0.32), "large": (0.36, 0.46)}
_BOUNDS = (0.15, 0.66)  # limits of the longest side after growing
_OVERLAP = 0.2  # largest share of the smaller box that may be covered, at first and at last
_MARGIN = 1.3  # side of the background, divided by that of the frame: room to pan
_NEVER = 2.0  # a time after the end


@dataclass(frozen=True)
class Actor:
    """One object of a clip. Times are shares of the clip, from 0 to 1."""

    kind: str
    colour: str
    size: str
    sides: tuple[float, float]  # width and height when it is first seen
    start: tuple[float, float]  # its centre when it is first seen
    stop: tuple[float, float]  # its centre from `rest` on
    growth: float  # its sides at `rest`, over those at the start
    begin: float  # when it starts to move and grow; before, it stands still
    enter: float  # 0 = there from the start
    leave: float  # above 1 = there to the end
    rest: float  # when it stops moving and growing
    turn: float  # when it changes colour; above 1 = never
    later: str  # its colour from `turn` on
    flip: bool
    text: str = ""  # what a sign says

    def at(self, time: float) -> Thing | None:
        """The actor as a thing at a time; None if it is not there."""
        if not self.enter <= time < self.leave:
            return None
        done = min(1.0, max(0.0, (time - self.begin) / (self.rest - self.begin)))
        x, y = (a + done * (b - a) for a, b in zip(self.start, self.stop, strict=True))
        width, height = (side * (1 + done * (self.growth - 1)) for side in self.sides)
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        colour = self.later if time >= self.turn else self.colour
        return Thing(self.kind, colour, self.size, box, self.text)

    @property
    def way(self) -> tuple[float, float]:
        """The distance that it moves to the right and down."""
        return self.stop[0] - self.start[0], self.stop[1] - self.start[1]


@dataclass(frozen=True, eq=False)
class Clip:
    """The scenes of a clip and its actors."""

    scenes: tuple[Scene, ...]  # one per frame; its things are the visible actors, in order
    actors: tuple[Actor, ...]
    cut: float | None  # when the background changes at once

    @cached_property
    def frames(self) -> np.ndarray:
        """(T, H, W, 3) uint8."""
        return np.stack([scene.picture for scene in self.scenes])

    @property
    def times(self) -> np.ndarray:
        """Times (T,) of the frames, from 0 to 1."""
        return sample_times(len(self.scenes))

    @property
    def apart(self) -> float:
        """Least distance of two events whose order the frames show."""
        return max(APART, 1.05 / max(1, len(self.scenes) - 1))


def as_media(clip: Clip) -> Media:
    """The clip as a decoded upload."""
    return Media(clip.frames, clip.times * SECONDS, "video", "none", read_seconds=0.0)


def sample_times(frames: int) -> np.ndarray:
    return np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)


def draw_clip(seed: int, frames: int = FRAMES, pixels: int = PIXELS, shape: Shape = SHAPE) -> Clip:
    """A clip of 1 to `MAX_ACTORS` objects of different kinds, sampled evenly."""
    rng = np.random.default_rng([seed, 3])
    cut = cut_of(rng)
    kinds = rng.choice(KINDS, size=int(rng.choice(ACTORS)), replace=False)
    actors = cast(rng, map(str, kinds), cut, shape=shape)
    return filmed(rng, actors, cut, frames, picture_size(pixels, shape))


def cut_of(rng: np.random.Generator) -> float | None:
    """The time of a hard cut of the background; above 1 = none, as in most clips."""
    return float(rng.uniform(0.35, 0.65)) if rng.random() < 0.15 else None


def filmed(
    rng: np.random.Generator,
    actors: tuple[Actor, ...],
    cut: float | None,
    frames: int,
    size: tuple[int, int],
    painter: GroundPainter = paint_ground,
) -> Clip:
    """The clip of these actors in height × width pixels, with backgrounds that may pan."""
    height, width = size
    around = round(_MARGIN * height), round(_MARGIN * width)
    names = [choose_ground(rng) for _ in range(2 if cut else 1)]
    if len(set(names)) < len(names):
        names[1] = "plain" if names[0] != "plain" else "grass"
    grounds = [painter(name, rng, around) for name in names]
    room = np.array((around[1] - width, around[0] - height))
    begin, end = rng.uniform(0, 1, (2, 2)) * room
    if rng.random() < 0.6:
        end = begin  # the camera stands still
    scenes = []
    for time in sample_times(frames):
        seen = [(actor, thing) for actor in actors if (thing := actor.at(time)) is not None]
        left, top = (round(edge) for edge in begin + time * (end - begin))
        shot = 0 if cut is None or time < cut else 1
        canvas = grounds[shot].crop((left, top, left + width, top + height))
        things = tuple(thing for _, thing in seen)
        scenes.append(paint(canvas, names[shot], things, [actor.flip for actor, _ in seen]))
    return Clip(tuple(scenes), actors, cut)


def cast(
    rng: np.random.Generator,
    kinds: Iterable[str],
    cut: float | None,
    sizes: Ranges = LONGEST,
    shape: Shape = SHAPE,
) -> tuple[Actor, ...]:
    """Actors of these kinds; a kind without a path free enough of the others is left out."""
    actors: list[Actor] = []
    for kind in kinds:
        for _ in range(30):
            actor = _actor(rng, kind, cut, sizes, shape)
            if all(_fit(actor, other) for other in actors):
                actors.append(actor)
                break
    return tuple(actors)


def _fit(a: Actor, b: Actor) -> bool:
    """Whether an actor hardly overlaps the others at both ends; in between they may cross."""
    ends = [(a.at(x.enter), b.at(x.enter)) for x in (a, b)]
    ends += [(a.at(t), b.at(t)) for t in (min(x.leave - 1e-6, 1.0) for x in (a, b))]
    return all(s is None or t is None or covered(s.box, t.box) <= _OVERLAP for s, t in ends)


def _actor(
    rng: np.random.Generator, kind: str, cut: float | None, sizes: Ranges, shape: Shape
) -> Actor:
    enter, leave, rest, turn = _times(rng, cut)
    colour, later = (str(name) for name in rng.choice(list(COLOURS), size=2, replace=False))
    size, text = str(rng.choice(list(sizes))), sign_text(rng) if kind == SIGN else ""
    longest, growth = rng.uniform(*sizes[size]), float(rng.choice([1.0, 1.0, 1.0, 1.0, 0.65, 1.4]))
    if not _BOUNDS[0] <= longest * growth <= _BOUNDS[1]:
        growth = 1.0
    sides = _sides(longest, sprite_aspect(kind, text), shape)
    start, stop = _path(rng, np.array(sides) * max(1.0, growth) / 2 + 0.01)
    begin = _pause(rng, enter, rest) if start != stop else enter
    return Actor(
        kind=kind,
        colour=colour,
        size=size,
        sides=sides,
        start=start,
        stop=stop,
        growth=growth,
        begin=begin,
        enter=enter,
        leave=leave,
        rest=rest,
        turn=turn,
        later=later,
        flip=bool(rng.random() < 0.5),
        text=text,
    )


def _sides(longest: float, aspect: float, shape: Shape) -> tuple[float, float]:
    """Width and height as shares of those of the frame."""
    wide, high = (longest, longest / aspect) if aspect > 1 else (longest * aspect, longest)
    return wide * min(shape) / shape[1], high * min(shape) / shape[0]


def _path(rng: np.random.Generator, half: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The first and the last centre; an actor moves along at most one axis."""
    start = rng.uniform(half, 1 - half)
    stop = start.copy()
    if rng.random() < 0.7:
        axis = rng.integers(2)
        for _ in range(30):
            start[axis], stop[axis] = rng.uniform(half[axis], 1 - half[axis], 2)
            if abs(stop[axis] - start[axis]) >= 0.25:
                break
        else:
            stop = start.copy()
    return (float(start[0]), float(start[1])), (float(stop[0]), float(stop[1]))


def _pause(rng: np.random.Generator, enter: float, rest: float) -> float:
    """The time when an actor starts to move: at once, or after a visible pause."""
    if rng.random() < PAUSES and rest - enter > 3 * APART:
        return float(rng.uniform(enter + APART, rest - 1.5 * APART))
    return enter


def _times(rng: np.random.Generator, cut: float | None) -> tuple[float, float, float, float]:
    """The times when an actor enters, leaves, stops and changes colour."""
    enter, leave, turn = 0.0, _NEVER, _NEVER
    if cut is not None and rng.random() < 0.6:
        enter, leave = (cut, _NEVER) if rng.random() < 0.5 else (0.0, cut)
    elif rng.random() < 0.42:
        enter = float(rng.uniform(0.15, 0.6))
    elif rng.random() < 0.35:
        leave = float(rng.uniform(0.4, 0.85))
    last = min(leave, 1.0)
    rest = enter + (last - enter) * float(rng.choice([1.0, 1.0, 0.5]))
    if rng.random() < 0.35:
        turn = float(rng.uniform(enter + APART, last - APART))
    return enter, leave, rest, turn
