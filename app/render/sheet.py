"""A contact sheet: the frames of a clip in rows, on a dark ground in both themes of the page.

The layout is in pixels of the page; the picture has twice as many, so that lines stay thin on
high-resolution screens. Points on a sheet are fractions of its width and height.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.render.canvas import Canvas
from models.uploads.media import Media
from pruning.tokens import TokenLayout

ZOOM = 2  # drawn pixels per pixel of the page
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
GROUND, INK, FAINT = (24, 27, 31), (243, 244, 246), (161, 167, 176)  # contrast of both inks > 7:1
LEAST, MOST = 112, 480  # width of a frame
TALLEST = 1.5  # height of a frame over its width, at most
GAP, TEXT, LINE = 8, 11, 15
LINES = 3  # of text below each frame


@dataclass(frozen=True)
class Sheet:
    """The places of `count` frames. Lengths are in drawn pixels."""

    count: int
    columns: int
    column: int  # width of a frame and its text, at most
    canvas: Canvas  # of every frame
    frames: tuple[int, ...] = ()  # of the clip, ascending, one for each place; empty: all of them

    @classmethod
    def over(
        cls, media: Media, layout: TokenLayout, width: int, frames: tuple[int, ...] = ()
    ) -> Sheet:
        """At most `width` pixels of the page wide, in rows of equal length."""
        count = len(frames or media.frames)
        fits = max(1, min(count, (width - GAP) // (LEAST + GAP)))
        columns = -(-count // -(-count // fits))
        column = ZOOM * min(MOST, (width - GAP) // columns - GAP)
        whole = Canvas.over(media.frames[0], layout, 1000)
        shrink = min(column / whole.width, TALLEST * column / whole.height)
        size = max(1, int(shrink * max(whole.width, whole.height)))
        canvas = Canvas.over(media.frames[0], layout, size)
        return cls(count, columns, column, canvas, frames)

    def places(self, frames: np.ndarray) -> np.ndarray:
        """The places of frames (M,) of the clip, all of which are on the sheet."""
        return np.searchsorted(self.frames, frames) if self.frames else frames

    @property
    def size(self) -> tuple[int, int]:
        across, down = self._pitch
        rows = -(-self.count // self.columns)
        return self.columns * across + ZOOM * GAP, rows * down + ZOOM * GAP // 2

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top of a frame, in pixels."""
        row, col = divmod(index, self.columns)
        across, down = self._pitch
        centred = (self.column - self.canvas.width) // 2
        return ZOOM * GAP + col * across + centred, ZOOM * GAP + row * down

    def cells(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Boxes (M, 4), fractions of their frames (M,), in pixels of the sheet."""
        corners = np.array([self.corner(index) for index in range(self.count)])  # (T, 2)
        corner = corners[self.places(frames)]
        cells: np.ndarray = self.canvas.pixels(boxes) + np.tile(corner, 2)
        return cells

    def frame_at(self, x: float, y: float) -> tuple[int, float, float] | None:
        """The frame under a point, and the point as fractions of that frame."""
        across, down = self._pitch
        wide, tall = self.size
        col, row = int((x * wide - ZOOM * GAP) // across), int((y * tall - ZOOM * GAP) // down)
        index = row * self.columns + col
        if not (0 <= col < self.columns and row >= 0 and index < self.count):
            return None
        left, top = self.corner(index)
        right, bottom = (x * wide - left) / self.canvas.width, (y * tall - top) / self.canvas.height
        if not (0 <= right < 1 and 0 <= bottom < 1):
            return None
        low_x, low_y, high_x, high_y = self.canvas.extent
        frame = self.frames[index] if self.frames else index
        return frame, low_x + right * (high_x - low_x), low_y + bottom * (high_y - low_y)

    def blank(self) -> Image.Image:
        return Image.new("RGB", self.size, GROUND)

    def place(self, sheet: Image.Image, index: int, picture: Image.Image, *lines: str) -> None:
        """Paste a frame with its lines of text below: the first bright, the others faint."""
        sheet.paste(picture, self.corner(index))
        left, top = self.corner(index)
        left -= (self.column - self.canvas.width) // 2
        top += self.canvas.height + ZOOM * 3
        draw = ImageDraw.Draw(sheet)
        for line, text in enumerate(lines[:LINES]):
            ink = FAINT if line else INK
            draw.text((left, top + ZOOM * LINE * line), text, ink, font(ZOOM * TEXT))

    @property
    def _pitch(self) -> tuple[int, int]:
        text = ZOOM * (LINES * LINE + 3)
        return self.column + ZOOM * GAP, self.canvas.height + text + ZOOM * GAP


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans from matplotlib, which supervision needs too; Pillow's font lacks "ü" and "→"."""
    from matplotlib import get_data_path  # slow to import, and no page needs it to start

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
