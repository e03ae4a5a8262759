"""Draws pictures with known contents: objects of many kinds and colours, in three sizes.

`draw_scene(seed)` is a pure function of its arguments. Training draws from seeds that evaluation
never sees: `training_seed` and `evaluation_seed` map into disjoint ranges.

A canvas has rows × cols cells, of 8 pixels in the input of a model. Sizes of objects are in cells:
a small canvas has fewer objects, as legible as those on a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.embedded.world.glyphs import DIGITS, WORDS
from models.embedded.world.grounds import choose_ground, paint_ground
from models.embedded.world.sprites import COLOURS, DETAIL, KINDS, SIGN, sprite, sprite_aspect

Ranges = Mapping[str, tuple[float, float]]  # cells of the longest side, by the name of the size
Box = tuple[float, float, float, float]
Shape = tuple[int, int]  # rows and columns of cells
SIZES: Ranges = {"small": (3.0, 4.0), "medium": (5.2, 7.0), "large": (9.0, 12.0)}
SHARES = (0.38, 0.42, 0.2)  # of the objects, by size
SHAPE: Shape = (24, 24)
PIXELS = 192  # of that shape
EVALUATION_SEEDS = 1_000_000  # seeds below are for evaluation, from here on for training
MAX_OBJECTS = 8
SIGNS = 0.35  # share of the scenes with a sign
_OVERLAP = 0.1  # largest share of the smaller box that another may cover
_FILLS = 0.8  # largest side of an object, as a share of the canvas's shorter side
_WORD = 4.8  # cells, the shortest sign with a word
GroundPainter = Callable[[str, np.random.Generator, tuple[int, int]], Image.Image]


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    kind: str
    colour: str
    size: str
    box: Box  # xyxy, shares of the picture, tight
    text: str = ""  # text of a sign

    @property
    def centre(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its contents."""

    picture: np.ndarray  # (H, W, 3) uint8
    things: tuple[Thing, ...]
    owner: np.ndarray  # (H, W) int8: index of the thing a pixel shows, −1 = background
    ground: str  # name of the background

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.picture.shape[1] / self.picture.shape[0]


def training_seed(index: int) -> int:
    if index < 0:
        raise ValueError(f"training scene {index}, wanted at least 0")
    return EVALUATION_SEEDS + index


def evaluation_seed(index: int) -> int:
    if not 0 <= index < EVALUATION_SEEDS:
        raise ValueError(f"evaluation scene {index}, wanted 0 to {EVALUATION_SEEDS - 1:,}")
    return index


def draw_scene(seed: int, pixels: int = PIXELS, shape: Shape = SHAPE) -> Scene:
    """A scene of one to `room_for(shape)` objects on rows × cols cells, `pixels` high.

    The same seed and shape give the same scene at any height.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, room_for(shape) + 1))
    things = laid_out(rng, mixed(rng, count), shape=shape)
    return shown(rng, things, picture_size(pixels, shape))


def room_for(shape: Shape) -> int:
    """Largest number of objects on a canvas: 8 on the native one, 2 on 6 × 6 cells."""
    share = (shape[0] * shape[1] / (SHAPE[0] * SHAPE[1])) ** 0.5
    return max(1, min(MAX_OBJECTS, round(MAX_OBJECTS * share)))


def picture_size(pixels: int, shape: Shape) -> tuple[int, int]:
    """Height and width in pixels."""
    return pixels, round(pixels * shape[1] / shape[0])


def shown(
    rng: np.random.Generator,
    things: tuple[Thing, ...],
    size: tuple[int, int],
    painter: GroundPainter = paint_ground,
) -> Scene:
    """A scene of these things in height × width pixels, on a random background."""
    flips = rng.random(len(things)) < 0.5
    ground = choose_ground(rng)
    return paint(painter(ground, rng, size), ground, things, flips)


def paint(
    canvas: Image.Image, ground: str, things: tuple[Thing, ...], flips: Sequence[bool]
) -> Scene:
    """Paints things on a background, in place; later ones cover earlier ones."""
    width, height = canvas.size
    owner = np.full((height, width), -1, dtype=np.int8)
    for index, thing in enumerate(things):
        left, top, right, bottom = (
            round(edge * side) for edge, side in zip(thing.box, (width, height) * 2, strict=True)
        )
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        small = max(right - left, bottom - top) <= DETAIL // 4
        picture = sprite(thing.kind, thing.colour, thing.text, small)
        picture = picture.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
        if flips[index] and not thing.text:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        canvas.paste(picture, (left, top), picture)
        solid = np.asarray(picture.getchannel("A")) > 127
        owner[top:bottom, left:right][solid] = index
    return Scene(np.asarray(canvas), things, owner, ground)


def mixed(rng: np.random.Generator, count: int) -> Iterator[tuple[str, str, str]]:
    """Yields `count` kinds with a colour and, for signs, a text. Kinds and colours often repeat.

    Each is drawn when it is needed, so the order of random numbers is fixed for a seed.
    """
    kinds = list(rng.choice(KINDS[: KINDS.index(SIGN)], size=max(2, count - 1)))
    colours = list(rng.choice(list(COLOURS), size=max(2, count - 1)))
    sign = int(rng.integers(count)) if rng.random() < SIGNS else -1
    for index in range(count):
        kind = SIGN if index == sign else str(rng.choice(kinds))
        yield kind, str(rng.choice(colours)), sign_text(rng) if kind == SIGN else ""


def sign_text(rng: np.random.Generator) -> str:
    """A digit or a word."""
    return str(rng.choice(DIGITS if rng.random() < 0.4 else WORDS))


def laid_out(
    rng: np.random.Generator,
    named: Iterable[tuple[str, str, str]],
    sizes: Ranges = SIZES,
    shares: Sequence[float] = SHARES,
    shape: Shape = SHAPE,
) -> tuple[Thing, ...]:
    """Things of these kinds, colours and texts; one without a free place is left out."""
    most = _FILLS * min(shape)
    pairs = zip(sizes.items(), shares, strict=True)
    fitting = [
        (name, low, min(high, most), share)
        for (name, (low, high)), share in pairs
        if low < most and share > 0
    ]
    things: list[Thing] = []
    for kind, colour, text in named:
        for _ in range(30):
            thing = _placed(rng, (kind, colour, text), fitting, shape)
            if all(covered(thing.box, other.box) <= _OVERLAP for other in things):
                things.append(thing)
                break
    return tuple(things)


def _placed(
    rng: np.random.Generator,
    named: tuple[str, str, str],
    fitting: list[tuple[str, float, float, float]],
    shape: Shape,
) -> Thing:
    kind, colour, text = named
    if len(text) > 1 and fitting[-1][2] > _WORD:  # a word needs room
        fitting = [size for size in fitting if size[1] >= _WORD] or fitting[-1:]
    odds = np.array([size[3] for size in fitting])
    size, low, high, _ = fitting[rng.choice(len(fitting), p=odds / odds.sum())]
    longest = rng.uniform(low, high)
    aspect = sprite_aspect(kind, text) * (1.0 if text else rng.uniform(0.9, 1.1))
    wide, high = (longest, longest / aspect) if aspect > 1 else (longest * aspect, longest)
    width, height = wide / shape[1], high / shape[0]
    left, top = rng.uniform(0.01, 0.99 - width), rng.uniform(0.01, 0.99 - height)
    return Thing(kind, colour, size, (left, top, left + width, top + height), text)


def covered(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Share of the smaller box that lies in the other."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / smaller
