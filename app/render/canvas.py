"""The drawing area of a frame; all pictures of a comparison use the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.render.palette import PADDING
from pruning.tokens import TokenLayout


@dataclass(frozen=True)
class Canvas:
    """A frame and the padding that the model sees around it."""

    extent: tuple[float, float, float, float]  # xyxy, as fractions of the frame
    width: int
    height: int

    @classmethod
    def over(cls, frame: np.ndarray, layout: TokenLayout | None, size: int) -> Canvas:
        """`size` pixels on the longer side; without a layout, the frame has no padding."""
        left, top, right, bottom = 0.0, 0.0, 1.0, 1.0
        if layout is not None and layout.num_placed:
            low, high = layout.box[layout.placed].min(axis=0), layout.box[layout.placed].max(axis=0)
            left, top = min(left, float(low[0])), min(top, float(low[1]))
            right, bottom = max(right, float(high[2])), max(bottom, float(high[3]))
        wide, tall = (right - left) * frame.shape[1], (bottom - top) * frame.shape[0]
        scale = size / max(wide, tall)
        extent = (left, top, right, bottom)
        return cls(extent, max(1, round(wide * scale)), max(1, round(tall * scale)))

    @property
    def unit(self) -> int:
        """Width of the thinnest line: one pixel of a page that shows the picture at half size."""
        return max(1, round(max(self.width, self.height) / 480))

    def pixels(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (M, 4) from fractions of the frame to int pixels of the canvas."""
        left, top, right, bottom = self.extent
        x = (boxes[:, [0, 2]] - left) / (right - left) * self.width
        y = (boxes[:, [1, 3]] - top) / (bottom - top) * self.height
        return np.rint(np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)).astype(np.int64)

    def paint(self, frame: np.ndarray) -> Image.Image:
        left, top, right, bottom = self.pixels(np.array([[0.0, 0.0, 1.0, 1.0]]))[0].tolist()
        picture = Image.fromarray(frame).convert("RGB")
        picture = picture.resize(
            (max(1, right - left), max(1, bottom - top)), Image.Resampling.LANCZOS
        )
        canvas = Image.new("RGB", (self.width, self.height), PADDING)
        canvas.paste(picture, (left, top))
        return canvas


def frame_tokens(layout: TokenLayout, frame_index: int) -> np.ndarray:
    """(n,) tokens to draw on a frame; a token of two frames counts for the first of them."""
    placed = np.flatnonzero(layout.placed)
    frames = layout.frame[placed]
    seen = frames[frames <= frame_index]
    return placed[frames == seen.max()] if len(seen) else placed[:0]
