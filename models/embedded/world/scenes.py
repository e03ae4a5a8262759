"""Pictures drawn by code, with the truth known: objects of 24 kinds in 8 colours and 3 sizes.

`draw_scene(seed)` is a pure function of its seed. Training draws from seeds that evaluation never
sees: `training_seed` and `evaluation_seed` map into disjoint ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from models.embedded.world.sprites import COLOURS, KINDS, sprite

Ranges = Mapping[str, tuple[float, float]]  # of the longest side, by the name of the size
SIZES: Ranges = {"small": (0.19, 0.24), "medium": (0.3, 0.36), "large": (0.44, 0.52)}
SHARES = (0.35, 0.4, 0.25)  # of the objects, by size
EVALUATION_SEEDS = 1_000_000  # seeds below are for evaluation, from here on for training
MAX_OBJECTS = 6
_OVERLAP = 0.1  # the most of the smaller box that another may cover
SUPERSAMPLING = 2
Ground = Callable[[np.random.Generator, int], Image.Image]  # a background, of the side asked for


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    kind: str
    colour: str
    size: str
    box: tuple[float, float, float, float]  # xyxy, shares of the picture, tight

    @property
    def centre(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and all that is true of it."""

    picture: np.ndarray  # (H, W, 3) uint8
    things: tuple[Thing, ...]
    owner: np.ndarray  # (H, W) int8: index of the thing a pixel shows, −1 = background


def training_seed(index: int) -> int:
    if index < 0:
        raise ValueError(f"training scene {index}, wanted at least 0")
    return EVALUATION_SEEDS + index


def evaluation_seed(index: int) -> int:
    if not 0 <= index < EVALUATION_SEEDS:
        raise ValueError(f"evaluation scene {index}, wanted 0 to {EVALUATION_SEEDS - 1:,}")
    return index


def draw_scene(seed: int, pixels: int = 96, most: int = MAX_OBJECTS) -> Scene:
    """A square scene of 1 to `most` objects. The same seed gives the same scene at any size."""
    rng = np.random.default_rng(seed)
    things = laid_out(rng, mixed(rng, int(rng.integers(1, most + 1))))
    return shown(rng, things, pixels)


def shown(
    rng: np.random.Generator, things: tuple[Thing, ...], pixels: int, ground: Ground | None = None
) -> Scene:
    """A scene of these things, on a muted background unless another is asked for."""
    flips = rng.random(len(things)) < 0.5
    return paint((ground or background)(rng, pixels * SUPERSAMPLING), things, flips)


def paint(canvas: Image.Image, things: tuple[Thing, ...], flips: Sequence[bool]) -> Scene:
    """Things on a square background drawn `SUPERSAMPLING` times too large; later ones in front."""
    side = canvas.width
    owner = np.full((side, side), -1, dtype=np.int8)
    for index, thing in enumerate(things):
        left, top, right, bottom = (round(edge * side) for edge in thing.box)
        picture = sprite(thing.kind, thing.colour).resize((right - left, bottom - top))
        if flips[index]:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        canvas.paste(picture, (left, top), picture)
        owner[top:bottom, left:right][np.asarray(picture)[..., 3] > 127] = index
    pixels = side // SUPERSAMPLING
    picture = np.asarray(canvas.resize((pixels, pixels), Image.Resampling.BOX))
    return Scene(picture, things, owner[::SUPERSAMPLING, ::SUPERSAMPLING])


def mixed(rng: np.random.Generator, count: int) -> Iterator[tuple[str, str]]:
    """`count` kinds with a colour each; both often repeat.

    Each is drawn when it is asked for: what is drawn between them is part of what a seed means.
    """
    kinds = list(rng.choice(list(KINDS), size=max(2, count - 1)))
    colours = list(rng.choice(list(COLOURS), size=max(2, count - 1)))
    for _ in range(count):
        yield str(rng.choice(kinds)), str(rng.choice(colours))


def laid_out(
    rng: np.random.Generator,
    named: Iterable[tuple[str, str]],
    sizes: Ranges = SIZES,
    shares: Sequence[float] = SHARES,
) -> tuple[Thing, ...]:
    """Those of the kinds and colours that find a place where they hardly cover each other."""
    things: list[Thing] = []
    for kind, colour in named:
        for _ in range(30):
            thing = _placed(rng, kind, colour, sizes, shares)
            if all(covered(thing.box, other.box) <= _OVERLAP for other in things):
                things.append(thing)
                break
    return tuple(things)


def _placed(
    rng: np.random.Generator, kind: str, colour: str, sizes: Ranges, shares: Sequence[float]
) -> Thing:
    size = str(rng.choice(list(sizes), p=shares))
    longest = rng.uniform(*sizes[size])
    width, height = sprite(kind, colour).size
    aspect = width / height * rng.uniform(0.9, 1.1)
    width, height = (longest, longest / aspect) if aspect > 1 else (longest * aspect, longest)
    left, top = rng.uniform(0.01, 0.99 - width), rng.uniform(0.01, 0.99 - height)
    return Thing(kind, colour, size, (left, top, left + width, top + height))


def covered(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Share of the smaller box that lies in the other."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / smaller


def background(rng: np.random.Generator, side: int) -> Image.Image:
    """A muted gradient, blurred blobs or stripes, with a little noise."""
    first, second = rng.uniform(95, 205, size=(2, 3)) * 0.45 + 0.55 * rng.uniform(110, 190, (2, 1))
    style = rng.choice(["gradient", "blobs", "stripes"])
    if style == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
        blend = (np.cos(angle) * x + np.sin(angle) * y) / 2.9 + 0.5  # (side, side)
    elif style == "blobs":
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5), dtype=np.uint8))
        blend = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) / 255
    else:
        angle, waves = rng.uniform(0, np.pi), rng.uniform(2, 6)
        x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
        phase = 2 * np.pi * waves * (np.cos(angle) * x + np.sin(angle) * y)
        blend = 0.5 + 0.25 * np.sin(phase)
    colours = first + blend[..., None] * (second - first)  # (side, side, 3)
    grain = Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).resize((side, side))
    grain = np.asarray(grain.filter(ImageFilter.GaussianBlur(side / 192)), dtype=np.float32)
    return Image.fromarray(np.clip(colours + (grain[..., None] - 128) / 20, 0, 255).astype("uint8"))
