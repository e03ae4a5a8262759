"""Scenes and clips that are harder than in training: other sizes, more objects, look-alikes.

A split names the difference to training; the seeds are those of evaluation. So the scenes of
"clutter" are those of "plain" on other backgrounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from models.embedded.world import clips
from models.embedded.world.clips import LONGEST, MAX_ACTORS, Actor, Clip, cast, cut_of, filmed
from models.embedded.world.grounds import paint_ground
from models.embedded.world.scenes import (
    MAX_OBJECTS,
    PIXELS,
    SHAPE,
    SHARES,
    SIZES,
    Ranges,
    Scene,
    Thing,
    evaluation_seed,
    laid_out,
    mixed,
    picture_size,
    shown,
    sign_text,
)
from models.embedded.world.sprites import COLOURS, KINDS, SIGN

# In cells. No question names these sizes, because their names are ambiguous.
UNSEEN_SIZES: Ranges = {
    "tiny": (2.3, 2.8),
    "small to medium": (4.2, 5.0),
    "medium to large": (7.4, 8.6),
    "huge": (13.0, 15.0),
}
UNSEEN_SHARES = (0.25, 0.3, 0.25, 0.2)
UNSEEN_ACTORS: Ranges = {"tiny": (0.15, 0.18), "small": (0.19, 0.23), "huge": (0.5, 0.56)}
CROWD, CROWD_OF_ACTORS = (10, 12), (5, 6)  # least and most
ALIKE = 4  # fewest objects that allow look-alikes of both sorts
SHAPES = (140, 240)  # of clutter on a background, least and most
SHAPE_SIDE = (0.016, 0.042)  # of the background's: smaller than any object


@dataclass(frozen=True)
class Split:
    """The differences to training."""

    sizes: bool = False  # sizes that training does not draw
    crowd: bool = False  # numbers of objects that training does not draw
    clutter: bool = False  # small shapes all over the background
    alike: bool = False  # each kind also in another colour, each colour also on another kind


PLAIN = Split()
SPLITS = {
    "plain": PLAIN,
    "sizes": Split(sizes=True),
    "crowd": Split(crowd=True),
    "clutter": Split(clutter=True),
    "alike": Split(alike=True),
    "hard": Split(sizes=True, crowd=True, clutter=True, alike=True),
}


def find_split(name: str) -> Split:
    """The split of a name. Raises `ValueError` with the known names."""
    if name not in SPLITS:
        raise ValueError(f"There is no split {name!r}; there is {', '.join(SPLITS)}.")
    return SPLITS[name]


def hard_scene(split: Split, seed: int, pixels: int = PIXELS) -> Scene:
    """The scene that `draw_scene` draws from a seed, with the changes of a split."""
    rng = np.random.default_rng(evaluation_seed(seed))
    painter = cluttered if split.clutter else paint_ground
    return shown(rng, _things(rng, split), picture_size(pixels, SHAPE), painter)


def hard_clip(
    split: Split, seed: int, frames: int = clips.FRAMES, pixels: int = clips.PIXELS
) -> Clip:
    """The clip that `draw_clip` draws from a seed, with the changes of a split."""
    rng = np.random.default_rng([evaluation_seed(seed), 3])
    cut = cut_of(rng)
    actors = _actors(rng, split, cut)
    painter = cluttered if split.clutter else paint_ground
    return filmed(rng, actors, cut, frames, picture_size(pixels, clips.SHAPE), painter)


def _things(rng: np.random.Generator, split: Split) -> tuple[Thing, ...]:
    least, most = CROWD if split.crowd else (ALIKE if split.alike else 1, MAX_OBJECTS)
    count = int(rng.integers(least, most + 1))
    sizes, shares = (UNSEEN_SIZES, UNSEEN_SHARES) if split.sizes else (SIZES, SHARES)
    if split.crowd:  # the two smallest sizes: there is no room for others
        shares = (0.75, 0.25, *(0.0 for _ in shares[2:]))
    while True:
        named = look_alikes(rng, count) if split.alike else mixed(rng, count)
        things = laid_out(rng, named, sizes, shares)
        if len(things) == count or not (split.crowd or split.alike):
            return things


def look_alikes(rng: np.random.Generator, count: int) -> list[tuple[str, str, str]]:
    """A `ring`, more objects of its kinds and colours up to `count`, and the text of signs."""
    pairs = ring(rng, int(rng.integers(2, count // 2 + 1)))
    kinds, colours = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    further = range(count - len(pairs))
    pairs += [(str(rng.choice(kinds)), str(rng.choice(colours))) for _ in further]
    return [(kind, colour, sign_text(rng) if kind == SIGN else "") for kind, colour in pairs]


def ring(rng: np.random.Generator, kinds: int) -> list[tuple[str, str]]:
    """Each kind in two colours and each colour on two kinds: all objects have look-alikes."""
    kind = rng.choice(KINDS, size=kinds, replace=False)
    colour = rng.choice(list(COLOURS), size=kinds, replace=False)
    steps = range(2 * kinds)
    return [(str(kind[i // 2]), str(colour[(i + 1) // 2 % kinds])) for i in steps]


def _actors(rng: np.random.Generator, split: Split, cut: float | None) -> tuple[Actor, ...]:
    least, most = CROWD_OF_ACTORS if split.crowd else (ALIKE if split.alike else 1, MAX_ACTORS)
    plain = (least, most) == (1, MAX_ACTORS)
    count = int(rng.choice(clips.ACTORS) if plain else rng.integers(least, most + 1))
    sizes = UNSEEN_ACTORS if split.sizes else LONGEST
    if split.crowd:  # there is no room for the largest
        sizes = dict(list(sizes.items())[:-1])
    while True:
        pairs = ring(rng, -(-count // 2))[:count] if split.alike else None
        kinds = [k for k, _ in pairs] if pairs else _different_kinds(rng, count)
        actors = cast(rng, kinds, cut, sizes)
        if pairs and len(actors) == count:
            return tuple(_painted(a, colour) for a, (_, colour) in zip(actors, pairs, strict=True))
        if len(actors) == count or not (split.crowd or split.alike):
            return actors


def _different_kinds(rng: np.random.Generator, count: int) -> list[str]:
    return [str(kind) for kind in rng.choice(KINDS, size=count, replace=False)]


def _painted(actor: Actor, colour: str) -> Actor:
    """The actor in this colour at first; its later colour differs."""
    later = actor.later if actor.later != colour else actor.colour
    return replace(actor, colour=colour, later=later)


def cluttered(name: str, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """The usual background with many small faint shapes that are not objects."""
    ground = paint_ground(name, rng, size)
    own = rng.spawn(1)[0]  # all later draws stay the same
    pen = ImageDraw.Draw(ground, "RGBA")
    for _ in range(own.integers(SHAPES[0], SHAPES[1] + 1)):
        _scatter(own, pen, size)
    return ground


def _scatter(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """One shape: a dot, a bar, a cross, a ring, or a triangle, square or pentagon."""
    radius = rng.uniform(*SHAPE_SIDE) * min(size) / 2
    x, y = rng.uniform(0, 1, 2) * (size[1], size[0])
    ink = (*(int(tone) for tone in rng.integers(0, 256, 3)), int(rng.integers(90, 170)))
    angle, thick = float(rng.uniform(0, 360)), max(1, round(radius / 3))
    box = (x - radius, y - radius, x + radius, y + radius)
    form = rng.choice(["dot", "bar", "cross", "ring", "polygon"])
    if form == "dot":
        pen.ellipse(box, fill=ink)
    elif form == "ring":
        pen.ellipse(box, outline=ink, width=thick)
    elif form == "polygon":
        pen.regular_polygon((x, y, radius), int(rng.integers(3, 6)), angle, fill=ink)
    else:
        for turn in (0, 90)[: 1 + (form == "cross")]:
            dx, dy = (radius * trig(np.radians(angle + turn)) for trig in (np.cos, np.sin))
            pen.line((x - dx, y - dy, x + dx, y + dy), fill=ink, width=thick)
