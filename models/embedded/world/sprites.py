"""The things in the world: 24 kinds of object, each a short list of shapes in a unit square.

A shape is (form, coordinates, tone). Tones are shades of the object's one colour, so that a red
car is red all over; `Sprite` draws any kind in any colour at any size with a soft edge.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": (214, 39, 40),
    "orange": (255, 140, 20),
    "yellow": (250, 220, 50),
    "green": (40, 150, 60),
    "blue": (40, 90, 210),
    "purple": (140, 60, 180),
    "white": (246, 246, 246),
    "black": (28, 28, 32),
}

Shape = tuple[str, tuple[float, ...], str]

KINDS: dict[str, list[Shape]] = {
    "car": [
        ("polygon", (0.2, 0.5, 0.32, 0.27, 0.68, 0.27, 0.82, 0.5), "light"),
        ("rectangle", (0.02, 0.48, 0.98, 0.7), "main"),
        ("ellipse", (0.14, 0.56, 0.38, 0.82), "dark"),
        ("ellipse", (0.62, 0.56, 0.86, 0.82), "dark"),
    ],
    "house": [
        ("rectangle", (0.14, 0.45, 0.86, 0.96), "main"),
        ("polygon", (0.02, 0.48, 0.5, 0.04, 0.98, 0.48), "dark"),
        ("rectangle", (0.42, 0.64, 0.6, 0.96), "light"),
    ],
    "tree": [
        ("rectangle", (0.43, 0.6, 0.57, 0.98), "dark"),
        ("ellipse", (0.12, 0.02, 0.88, 0.7), "main"),
        ("ellipse", (0.28, 0.12, 0.5, 0.34), "light"),
    ],
    "star": [
        (
            "polygon",
            (
                *(0.5, 0.02, 0.62, 0.37, 0.98, 0.38, 0.69, 0.6, 0.8, 0.96),
                *(0.5, 0.74, 0.2, 0.96, 0.31, 0.6, 0.02, 0.38, 0.38, 0.37),
            ),
            "main",
        ),
    ],
    "cat": [
        ("polygon", (0.14, 0.06, 0.46, 0.24, 0.16, 0.5), "main"),
        ("polygon", (0.86, 0.06, 0.54, 0.24, 0.84, 0.5), "main"),
        ("ellipse", (0.1, 0.18, 0.9, 0.94), "main"),
        ("ellipse", (0.27, 0.42, 0.4, 0.56), "dark"),
        ("ellipse", (0.6, 0.42, 0.73, 0.56), "dark"),
        ("polygon", (0.44, 0.64, 0.56, 0.64, 0.5, 0.74), "light"),
    ],
    "cup": [
        ("ring", (0.6, 0.3, 0.96, 0.72, 0.08), "main"),
        ("polygon", (0.1, 0.12, 0.74, 0.12, 0.66, 0.94, 0.18, 0.94), "main"),
        ("ellipse", (0.1, 0.05, 0.74, 0.2), "dark"),
    ],
    "key": [
        ("ring", (0.02, 0.3, 0.4, 0.7, 0.11), "main"),
        ("rectangle", (0.36, 0.44, 0.98, 0.56), "main"),
        ("rectangle", (0.7, 0.54, 0.78, 0.74), "main"),
        ("rectangle", (0.86, 0.54, 0.94, 0.7), "main"),
    ],
    "fish": [
        ("polygon", (0.66, 0.5, 0.98, 0.2, 0.98, 0.8), "dark"),
        ("ellipse", (0.02, 0.22, 0.76, 0.78), "main"),
        ("ellipse", (0.16, 0.38, 0.26, 0.48), "dark"),
        ("polygon", (0.36, 0.44, 0.6, 0.5, 0.36, 0.62), "light"),
    ],
    "boat": [
        ("polygon", (0.54, 0.04, 0.54, 0.6, 0.92, 0.6), "light"),
        ("polygon", (0.46, 0.16, 0.46, 0.6, 0.14, 0.6), "main"),
        ("polygon", (0.02, 0.66, 0.98, 0.66, 0.8, 0.94, 0.2, 0.94), "main"),
    ],
    "flower": [
        ("rectangle", (0.46, 0.5, 0.54, 0.98), "dark"),
        ("ellipse", (0.34, 0.02, 0.66, 0.34), "main"),
        ("ellipse", (0.34, 0.38, 0.66, 0.7), "main"),
        ("ellipse", (0.14, 0.2, 0.46, 0.52), "main"),
        ("ellipse", (0.54, 0.2, 0.86, 0.52), "main"),
        ("ellipse", (0.38, 0.24, 0.62, 0.48), "light"),
    ],
    "heart": [
        ("ellipse", (0.02, 0.08, 0.52, 0.56), "main"),
        ("ellipse", (0.48, 0.08, 0.98, 0.56), "main"),
        ("polygon", (0.06, 0.44, 0.94, 0.44, 0.5, 0.96), "main"),
    ],
    "ball": [
        ("ellipse", (0.04, 0.04, 0.96, 0.96), "main"),
        ("arc", (0.04, 0.3, 0.96, 1.2, 0.06), "dark"),
        ("ellipse", (0.24, 0.16, 0.44, 0.34), "light"),
    ],
    "umbrella": [
        ("rectangle", (0.47, 0.4, 0.53, 0.9), "dark"),
        ("rectangle", (0.47, 0.86, 0.7, 0.94), "dark"),
        ("half", (0.02, 0.06, 0.98, 0.96), "main"),
        ("polygon", (0.5, 0.06, 0.36, 0.5, 0.64, 0.5), "light"),
    ],
    "mushroom": [
        ("rectangle", (0.36, 0.5, 0.64, 0.96), "light"),
        ("half", (0.04, 0.06, 0.96, 1.1), "main"),
        ("ellipse", (0.24, 0.28, 0.4, 0.44), "light"),
        ("ellipse", (0.56, 0.2, 0.72, 0.36), "light"),
    ],
    "ladder": [
        ("rectangle", (0.18, 0.02, 0.3, 0.98), "main"),
        ("rectangle", (0.7, 0.02, 0.82, 0.98), "main"),
        ("rectangle", (0.24, 0.16, 0.76, 0.26), "dark"),
        ("rectangle", (0.24, 0.44, 0.76, 0.54), "dark"),
        ("rectangle", (0.24, 0.72, 0.76, 0.82), "dark"),
    ],
    "hat": [
        ("rectangle", (0.26, 0.16, 0.74, 0.72), "main"),
        ("rectangle", (0.26, 0.54, 0.74, 0.68), "dark"),
        ("ellipse", (0.02, 0.64, 0.98, 0.86), "main"),
    ],
    "moon": [("crescent", (0.08, 0.04, 0.92, 0.96), "main")],
    "bottle": [
        ("rectangle", (0.42, 0.02, 0.58, 0.34), "dark"),
        ("polygon", (0.42, 0.26, 0.58, 0.26, 0.74, 0.46, 0.26, 0.46), "main"),
        ("rectangle", (0.26, 0.44, 0.74, 0.98), "main"),
        ("rectangle", (0.26, 0.58, 0.74, 0.8), "light"),
    ],
    "arrow": [
        ("rectangle", (0.02, 0.38, 0.6, 0.62), "main"),
        ("polygon", (0.56, 0.12, 0.98, 0.5, 0.56, 0.88), "main"),
    ],
    "bird": [
        ("ellipse", (0.16, 0.34, 0.78, 0.84), "main"),
        ("ellipse", (0.58, 0.14, 0.9, 0.46), "main"),
        ("polygon", (0.86, 0.24, 1.0, 0.32, 0.86, 0.38), "dark"),
        ("polygon", (0.02, 0.3, 0.26, 0.5, 0.12, 0.66), "dark"),
        ("polygon", (0.34, 0.5, 0.62, 0.5, 0.42, 0.74), "light"),
    ],
    "chair": [
        ("rectangle", (0.2, 0.02, 0.34, 0.98), "main"),
        ("rectangle", (0.2, 0.5, 0.82, 0.64), "main"),
        ("rectangle", (0.7, 0.5, 0.82, 0.98), "dark"),
    ],
    "clock": [
        ("ellipse", (0.04, 0.04, 0.96, 0.96), "main"),
        ("ellipse", (0.18, 0.18, 0.82, 0.82), "light"),
        ("rectangle", (0.47, 0.26, 0.53, 0.53), "dark"),
        ("rectangle", (0.47, 0.47, 0.72, 0.53), "dark"),
    ],
    "book": [
        ("polygon", (0.02, 0.2, 0.48, 0.28, 0.48, 0.88, 0.02, 0.78), "main"),
        ("polygon", (0.98, 0.2, 0.52, 0.28, 0.52, 0.88, 0.98, 0.78), "main"),
        ("rectangle", (0.1, 0.42, 0.4, 0.47), "light"),
        ("rectangle", (0.6, 0.42, 0.9, 0.47), "light"),
    ],
    "rocket": [
        ("polygon", (0.34, 0.6, 0.08, 0.9, 0.34, 0.84), "dark"),
        ("polygon", (0.66, 0.6, 0.92, 0.9, 0.66, 0.84), "dark"),
        ("ellipse", (0.3, 0.02, 0.7, 1.0), "main"),
        ("ellipse", (0.42, 0.26, 0.58, 0.42), "light"),
    ],
}

_DETAIL = 160  # pixels a sprite is drawn at before it is scaled


def _tones(colour: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    base = np.array(colour, dtype=float)
    bright = base.mean() > 40  # black needs a lighter shade where others need a darker one
    return {
        "main": colour,
        "dark": tuple(int(c) for c in (base * 0.62 if bright else base + 45)),
        "light": tuple(int(c) for c in base + 0.45 * (255 - base)),
    }


def _draw(pen: ImageDraw.ImageDraw, shape: Shape, tones: dict[str, tuple[int, int, int]]) -> None:
    form, unit, tone = shape
    points, fill = [u * _DETAIL for u in unit], tones[tone]
    if form == "polygon":
        pen.polygon(points, fill=fill)
    elif form == "rectangle":
        pen.rectangle(points, fill=fill)
    elif form == "ellipse":
        pen.ellipse(points, fill=fill)
    elif form == "half":
        pen.pieslice(points, 180, 360, fill=fill)
    elif form == "ring":
        pen.ellipse(points[:4], outline=fill, width=round(points[4]))
    elif form == "arc":
        pen.arc(points[:4], 200, 340, fill=fill, width=round(points[4]))
    elif form == "crescent":
        left, top, right, bottom = points
        pen.ellipse(points, fill=fill)
        pen.ellipse((left + 0.36 * (right - left), top - 2, right + 40, bottom - 12), fill=(0,) * 4)


@cache
def sprite(kind: str, colour: str) -> Image.Image:
    """RGBA, cropped to what is drawn, so that a pasted sprite's rectangle is its tight box."""
    canvas = Image.new("RGBA", (_DETAIL, _DETAIL))
    pen = ImageDraw.Draw(canvas)
    for shape in KINDS[kind]:
        _draw(pen, shape, _tones(COLOURS[colour]))
    return canvas.crop(canvas.getbbox())
