"""Backgrounds: a plain one of muted colours, and eight places with a texture of their own.

Random numbers are drawn in the same order for any size, so a seed gives the same background.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image

Array = np.ndarray
SKY_TOP, SKY_LOW = np.array((140, 182, 218.0)), np.array((206, 225, 236.0))
SKY_ABOVE = 0.45  # share of the outdoor grounds with a band of sky above them
_OUTDOORS = frozenset({"water", "grass", "road", "sand", "snow"})


def noise(rng: Generator, size: tuple[int, int], rows: int, cols: int) -> Array:
    """Smooth noise (H, W) from −1 to 1, interpolated from rows × cols random values."""
    coarse = Image.fromarray(rng.integers(0, 256, (rows, cols), dtype=np.uint8))
    height, width = size
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32) / 127.5 - 1


def _grid(size: tuple[int, int]) -> tuple[Array, Array]:
    """y (H, 1) and x (1, W) as shares of the shorter side."""
    height, width = size
    unit = min(size)
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    return y[:, None] / unit, x[None] / unit


def _blend(first: Array, second: Array, amount: Array) -> Array:
    """Blend (H, W, 3) of two colours."""
    first, second = np.float32(first), np.float32(second)
    return first + np.asarray(amount, dtype=np.float32)[..., None] * (second - first)


def _jitter(rng: Generator, colour: tuple[float, float, float], by: float = 10) -> Array:
    return np.array(colour) + rng.uniform(-by, by) + rng.uniform(-by / 2, by / 2, 3)


def _plain(rng: Generator, size: tuple[int, int]) -> Array:
    """A muted gradient, blurred blobs or stripes."""
    first, second = rng.uniform(95, 205, size=(2, 3)) * 0.45 + 0.55 * rng.uniform(110, 190, (2, 1))
    y, x = _grid(size)
    style = rng.choice(["gradient", "blobs", "stripes"])
    angle, waves = rng.uniform(0, 2 * np.pi), rng.uniform(2, 6)
    blobs = noise(rng, size, 5, 5)
    along = np.cos(angle) * x + np.sin(angle) * y
    if style == "gradient":
        amount = 0.5 + (along - along.mean()) / 2
    elif style == "blobs":
        amount = 0.5 + blobs / 2
    else:
        amount = 0.5 + 0.25 * np.sin(2 * np.pi * waves * along)
    return _blend(first, second, amount)


def _sky(rng: Generator, size: tuple[int, int]) -> Array:
    y, _ = _grid(size)
    shift = rng.uniform(-12, 12, 3)
    amount = np.broadcast_to(y / y.max(), size)
    air = _blend(SKY_TOP + shift, SKY_LOW + shift / 2, amount)
    clouds = 0.7 * noise(rng, size, 6, 4) + 0.4 * noise(rng, size, 14, 9)
    cover = np.clip(2.2 * (clouds - rng.uniform(0.1, 0.4)), 0, 0.75)[..., None]
    return air + cover * (np.float32(242) - air)


def _water(rng: Generator, size: tuple[int, int]) -> Array:
    y, _ = _grid(size)
    near, far = _jitter(rng, (62, 120, 146)), _jitter(rng, (120, 172, 186))
    ground = _blend(far, near, np.broadcast_to(y / y.max(), size))
    waves = np.sin(2 * np.pi * (rng.uniform(9, 13) * y + 0.5 * noise(rng, size, 5, 7)))
    crests = np.clip(waves * 1.2 - 0.35 + 0.6 * noise(rng, size, 16, 6), 0, 1)
    return ground + (26 * crests + 5 * noise(rng, size, 24, 10))[..., None]


def _grass(rng: Generator, size: tuple[int, int]) -> Array:
    far, near = _jitter(rng, (150, 176, 116)), _jitter(rng, (112, 146, 88))
    y, _ = _grid(size)
    ground = _blend(far, near, np.broadcast_to(y / y.max(), size))
    blades = 11 * noise(rng, size, 22, 80) + 8 * noise(rng, size, 7, 7)
    return ground + blades[..., None]


def _road(rng: Generator, size: tuple[int, int]) -> Array:
    y, x = _grid(size)
    grain = 7 * noise(rng, size, 90, 90) + 5 * noise(rng, size, 6, 6)
    ground = _jitter(rng, (128, 128, 134)).astype(np.float32) + grain[..., None]
    upright = rng.random() < 0.5
    across, along = (x, y) if upright else (y, x)
    middle, phase = rng.uniform(0.35, 0.65) * across.max(), rng.uniform(0, 1)
    dashes = (np.abs(across - middle) < 0.022) & ((along * 4 + phase) % 1 < 0.6)
    verge = rng.uniform(0.04, 0.1)
    kerbs = (across < verge) | (across > across.max() - verge)
    lines = (np.abs(across - verge) < 0.012) | (np.abs(across.max() - verge - across) < 0.012)
    for where, colour in ((dashes, 222), (kerbs, 158), (lines, 96)):
        ground[np.broadcast_to(where, size)] = colour
    return ground


def _sand(rng: Generator, size: tuple[int, int]) -> Array:
    y, _ = _grid(size)
    ripples = np.sin(2 * np.pi * (rng.uniform(7, 10) * y + 0.9 * noise(rng, size, 4, 5)))
    dunes = 9 * noise(rng, size, 4, 3) + 4 * ripples + 6 * noise(rng, size, 80, 80)
    return _jitter(rng, (214, 194, 154)).astype(np.float32) + dunes[..., None]


def _table(rng: Generator, size: tuple[int, int]) -> Array:
    y, _ = _grid(size)
    planks = rng.uniform(3, 5)
    number = np.floor(y * planks + rng.uniform(0, 1)).astype(int)  # (H, 1)
    tone = rng.uniform(-12, 12, 16)[number % 16]
    fibres = 9 * noise(rng, size, 70, 4) + 5 * np.sin(2 * np.pi * (16 * y + noise(rng, size, 9, 4)))
    gaps = np.abs((y * planks) % 1 - 0.5) > 0.475
    wood = _jitter(rng, (186, 150, 112)).astype(np.float32) + (tone + fibres)[..., None]
    return np.where(gaps[..., None], wood * 0.74, wood)


def _wall(rng: Generator, size: tuple[int, int]) -> Array:
    y, x = _grid(size)
    colour = ((176, 138, 122), (180, 176, 168), (190, 170, 140))[rng.integers(3)]
    courses = rng.uniform(8, 11)
    row = np.floor(y * courses).astype(int)  # (H, 1)
    place = x * courses / 2 + 0.5 * (row % 2)  # (H, W)
    tone = rng.uniform(-13, 13, (64, 64))[row % 64, np.floor(place).astype(int) % 64]
    bricks = _jitter(rng, colour).astype(np.float32) + tone[..., None].astype(np.float32)
    joint = ((y * courses) % 1 < 0.13) | (place % 1 < 0.065)
    bricks = bricks + 5 * noise(rng, size, 60, 60)[..., None]
    return np.where(joint[..., None], np.float32(204), bricks)


def _snow(rng: Generator, size: tuple[int, int]) -> Array:
    drifts = 10 * noise(rng, size, 5, 3) + 5 * noise(rng, size, 12, 8)
    sparkle = np.clip(noise(rng, size, 110, 110) - 0.75, 0, 1) * 40
    return _jitter(rng, (216, 224, 234), 6).astype(np.float32) + (drifts + sparkle)[..., None]


PAINTERS: dict[str, Callable[[Generator, tuple[int, int]], Array]] = {
    "plain": _plain,
    "sky": _sky,
    "water": _water,
    "grass": _grass,
    "road": _road,
    "sand": _sand,
    "table": _table,
    "wall": _wall,
    "snow": _snow,
}
GROUNDS = tuple(PAINTERS)
SHARES = (0.2, *(0.1 for _ in GROUNDS[1:]))  # of the scenes


def choose_ground(rng: Generator) -> str:
    return str(rng.choice(GROUNDS, p=SHARES))


def paint_ground(name: str, rng: Generator, size: tuple[int, int]) -> Image.Image:
    """The background of this name, H × W pixels; outdoors often below a band of sky."""
    ground = PAINTERS[name](rng, size)
    if name in _OUTDOORS and rng.random() < SKY_ABOVE:
        horizon, hills = rng.uniform(0.14, 0.34), noise(rng, (1, size[1]), 2, 6)[0]  # (W,)
        flat = name in ("water", "road")
        line = (horizon + (0 if flat else 0.03) * hills) * size[0]
        above = np.arange(size[0])[:, None] - line  # (H, W), negative in the sky
        amount = np.clip(0.5 - above / 2, 0, 1)[..., None].astype(np.float32)
        ground = ground + amount * (_sky(rng, size) - ground)
    return Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
