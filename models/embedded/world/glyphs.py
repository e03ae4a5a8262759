"""Digits and letters for signs as strokes, without a font.

A glyph is a list of strokes, a stroke is a list of points on a grid 4 wide and 6 high.
"""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw

STROKES = {  # "06 20 46" is one stroke through (0, 6), (2, 0), (4, 6); "/" begins the next
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "01 20 26/06 46",
    "2": "01 10 30 41 42 06 46",
    "3": "00 40 22 33 44 35 26 16 05",
    "4": "36 30 04 44",
    "5": "40 00 03 32 44 45 36 16 05",
    "6": "30 11 03 05 16 36 45 44 33 13 04",
    "7": "00 40 16",
    "8": "10 30 41 32 12 01 10/12 04 05 16 36 45 44 32",
    "9": "16 35 43 41 30 10 01 02 13 33 42",
    "a": "06 20 46/14 34",
    "b": "00 06 36 45 44 33 03/00 30 41 42 33",
    "c": "41 30 10 01 05 16 36 45",
    "d": "00 06 26 44 42 20 00",
    "e": "40 00 06 46/03 33",
    "f": "40 00 06/03 33",
    "g": "41 30 10 01 05 16 36 45 43 23",
    "h": "00 06/40 46/03 43",
    "i": "20 26/10 30/16 36",
    "k": "00 06/40 03 46",
    "l": "00 06 46",
    "m": "06 00 23 40 46",
    "n": "06 00 46 40",
    "o": "10 30 41 45 36 16 05 01 10",
    "p": "06 00 30 41 42 33 03",
    "r": "06 00 30 41 42 33 03/23 46",
    "s": "41 30 10 01 02 13 33 44 45 36 16 05",
    "t": "00 40/20 26",
    "u": "00 05 16 36 45 40",
    "w": "00 16 22 36 40",
    "x": "00 46/40 06",
    "y": "00 23 40/23 26",
    "z": "00 40 06 46",
}
WORDS = (
    *("go", "no", "bus", "zoo", "tea", "ice", "art", "new", "map", "spa"),
    *("stop", "exit", "taxi", "park", "shop", "open", "sale", "food", "wifi", "menu"),
)
DIGITS = tuple(map(str, range(10)))
TEXTS = (*DIGITS, *WORDS)  # all characters of signs
CHARACTERS = tuple(sorted(set("".join(TEXTS))))
SIDES = (28, 40)  # pixels of one drawn glyph, width and height
_THICK = 6.5


@cache
def glyph(character: str) -> Image.Image:
    """The glyph as an "L" image of `SIDES` pixels: 255 = ink."""
    scale, width, height = 4, *SIDES
    canvas = Image.new("L", (width * scale, height * scale))
    pen, radius = ImageDraw.Draw(canvas), _THICK * scale / 2
    for stroke in STROKES[character].split("/"):
        points = [
            (radius + (canvas.width - 2 * radius) * int(x) / 4,
             radius + (canvas.height - 2 * radius) * int(y) / 6)
            for x, y in stroke.split()
        ]  # fmt: skip
        pen.line(points, fill=255, width=round(2 * radius), joint="curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return canvas.resize(SIDES, Image.Resampling.BOX)
