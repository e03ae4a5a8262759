"""Draws the objects: each kind is a short list of shapes, shaded and outlined in any colour.

A shape is (tone, form, coordinates). "main", "dark" and "light" are shades of the object's one
colour, so that a red car is red; the other tones are small details of a colour of their own.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from models.embedded.world.glyphs import SIDES, glyph
from models.embedded.world.living_kinds import LIVING
from models.embedded.world.made_kinds import MADE, Shape

COLOURS = {
    "red": (216, 42, 44),
    "orange": (255, 140, 24),
    "yellow": (250, 216, 48),
    "green": (46, 152, 66),
    "blue": (44, 96, 214),
    "purple": (138, 66, 184),
    "pink": (246, 138, 190),
    "brown": (132, 82, 46),
    "white": (244, 244, 246),
    "black": (40, 40, 46),
}
SIGN = "sign"  # the kind with text
KINDS: tuple[str, ...] = (*MADE, *LIVING, SIGN)
DETAILS = {
    "ink": (34, 34, 42),
    "tyre": (58, 58, 66),
    "glass": (186, 220, 238),
    "wood": (146, 112, 78),
    "cream": (250, 242, 224),
    "stem": (84, 142, 70),
    "flame": (255, 186, 60),
}
SHADES = ("main", "dark", "light", "outline")
TONES = (*SHADES, *DETAILS)
DETAIL = 192  # pixels: side of a drawn sprite
_FINE = 2  # times that, while it is drawn
_OUTLINE = 2.2  # width of 100
_MARGIN = 0.09  # of a sign's height, around its text
_ASPECT = 0.74  # width over height of a sign's letters, with the space between them


def shades(colour: str) -> np.ndarray:
    """Colours (tones, 3) of all tones for an object of this colour."""
    base = np.array(COLOURS[colour], dtype=float)
    dim, pale = base.max() < 80, base.min() > 200
    dark = base + 34 if dim else base * (0.8 if pale else 0.66)
    light = base + 70 if dim else base + 0.5 * (255 - base)
    outline = base * 0.3 if dim else base * (0.45 if pale else 0.36)
    if pale:
        light = base * 0.9  # on white, a highlight is a shade of grey
    return np.array([base, dark, light, outline, *DETAILS.values()])


def _curve(points: np.ndarray, steps: int = 8) -> list[tuple[float, float]]:
    """A closed smooth line through the points (n, 2): Catmull-Rom."""
    before, start = np.roll(points, 1, axis=0), points
    after, next_one = np.roll(points, -1, axis=0), np.roll(points, -2, axis=0)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    line = 0.5 * (
        2 * start
        + (after - before) * t
        + (2 * before - 5 * start + 4 * after - next_one) * t**2
        + (3 * start - before - 3 * after + next_one) * t**3
    )  # (steps, n, 2)
    return [tuple(point) for point in line.transpose(1, 0, 2).reshape(-1, 2)]


def _mask(shape: Shape) -> Image.Image:
    """Mask of a shape, an "L" image."""
    _, form, unit = shape
    side = DETAIL * _FINE
    canvas = Image.new("L", (side, side))
    pen, points = ImageDraw.Draw(canvas), [u * side / 100 for u in unit]
    if form == "polygon":
        pen.polygon(points, fill=255)
    elif form == "smooth":
        pen.polygon(_curve(np.array(points).reshape(-1, 2)), fill=255)
    elif form == "rectangle":
        shorter = min(points[2] - points[0], points[3] - points[1])
        pen.rounded_rectangle(points, radius=0.14 * shorter, fill=255)
    elif form == "ellipse":
        pen.ellipse(points, fill=255)
    elif form == "half":
        pen.pieslice(points, 180, 360, fill=255)
    elif form == "ring":
        pen.ellipse(points[:4], outline=255, width=round(points[4]))
    else:  # a line with round ends
        line, radius = list(zip(points[:-1:2], points[1:-1:2], strict=True)), points[-1] / 2
        pen.line(line, fill=255, width=round(2 * radius), joint="curve")
        for x, y in line:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return canvas


def _widened(mask: Image.Image, by: float) -> Image.Image:
    blurred = mask.filter(ImageFilter.BoxBlur(by))
    return blurred.point(lambda value: min(255, value * 6))


def _small(mask: Image.Image) -> np.ndarray:
    """(DETAIL, DETAIL) from 0 to 1."""
    return np.asarray(mask.reduce(_FINE), dtype=np.float32) / 255


def _light(mask: np.ndarray) -> np.ndarray:
    """Factor of brightness at each pixel: a shape is lit from the upper left."""
    rows, cols = np.nonzero(mask > 0.5)
    if not len(rows):
        return np.ones_like(mask)
    y, x = np.mgrid[:DETAIL, :DETAIL].astype(np.float32)
    across = (x - cols.min()) / max(1, np.ptp(cols)) + (y - rows.min()) / max(1, np.ptp(rows))
    return np.clip(1.13 - 0.15 * across, 0.8, 1.13)


@cache
def layers(kind: str) -> np.ndarray:
    """Shares of the tones and the opacity (tones + 1, H, W) of each pixel, cropped."""
    amounts = np.zeros((len(TONES) + 1, DETAIL, DETAIL), dtype=np.float32)
    for shape in (MADE | LIVING)[kind]:
        mask = _mask(shape)
        edge = _small(_widened(mask, _OUTLINE * DETAIL * _FINE / 100))
        inside = _small(mask)
        for where, tone, amount in (
            (edge, "outline", np.ones_like(edge)),
            (inside, shape[0], _light(inside)),
        ):
            amounts *= 1 - where
            amounts[TONES.index(tone)] += where * amount
            amounts[-1] += where
    rows, cols = (np.nonzero(amounts[-1].max(axis) > 0.5)[0] for axis in (1, 0))
    return amounts[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]


def _coloured(amounts: np.ndarray, colour: str) -> Image.Image:
    tones, opacity = shades(colour), amounts[-1]
    rgb = np.tensordot(amounts[:-1], tones, axes=(0, 0)) / np.maximum(opacity, 0.05)[..., None]
    rgb[opacity < 0.05] = tones[SHADES.index("outline")]
    rgba = np.concatenate([rgb, 255 * opacity[..., None]], -1)
    return Image.fromarray(np.clip(rgba, 0, 255).astype(np.uint8))


def letter_boxes(text: str) -> list[tuple[float, float, float, float]]:
    """The box of each letter on a sign, xyxy, as shares of the sign."""
    width = sign_aspect(text)
    step = (width - 2.4 * _MARGIN) / len(text)
    left = [1.2 * _MARGIN + index * step for index in range(len(text))]
    return [(x / width, 1.7 * _MARGIN, (x + step) / width, 1 - 1.7 * _MARGIN) for x in left]


def sign_aspect(text: str) -> float:
    """Width over height of a sign."""
    return max(0.9, (1 - 3.4 * _MARGIN) * _ASPECT * len(text) + 2.4 * _MARGIN)


def _sign(colour: str, text: str) -> Image.Image:
    """A board of this colour with dark or light letters."""
    height = DETAIL * 2 // 3
    width = round(height * sign_aspect(text))
    tones = [tuple(int(tone) for tone in shade) for shade in shades(colour)]
    board = Image.new("RGBA", (2 * width, 2 * height), (*tones[3], 0))
    pen, corner = ImageDraw.Draw(board), 0.14 * height
    ink = DETAILS["ink"] if np.mean(COLOURS[colour]) > 135 else DETAILS["cream"]
    full = (0, 0, 2 * width - 1, 2 * height - 1)
    for inset, fill in ((0, tones[3]), (0.05, tones[0])):
        by = inset * height
        box = (by, by, full[2] - by, full[3] - by)
        pen.rounded_rectangle(box, radius=2 * corner - by, fill=(*fill, 255))
    for character, box in zip(text, letter_boxes(text), strict=True):
        left, top, right, bottom = (
            edge * side for edge, side in zip(box, board.size * 2, strict=True)
        )
        high = round(bottom - top)
        wide = min(round((right - left) * 0.84), round(high * SIDES[0] / SIDES[1]))
        letter = glyph(character).resize((wide, high))
        board.paste((*ink, 255), (round((left + right - wide) / 2), round(top)), letter)
    return board.reduce(2)


@cache
def sprite(kind: str, colour: str, text: str = "", small: bool = False) -> Image.Image:
    """The sprite as RGBA, cropped, so that the rectangle of a pasted sprite is its tight box.

    A small one has half the pixels and is faster to resize.
    """
    if small:
        return sprite(kind, colour, text).reduce(2)
    return _sign(colour, text) if kind == SIGN else _coloured(layers(kind), colour)


def sprite_aspect(kind: str, text: str = "") -> float:
    """Width over height."""
    if kind == SIGN:
        return sign_aspect(text)
    height, width = layers(kind).shape[1:]
    return width / height
