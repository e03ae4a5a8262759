"""A lane's overlays as a clip to keep: H.264, which every browser and player shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.render.canvas import Canvas
from app.render.mp4 import write_mp4
from app.render.sheet import LEAST, ZOOM, Sheet
from app.render.strip import frame_cells
from models.uploads.media import Media
from pruning.trace import TokenTrace

RATE = 2  # frames a second: time to look at each; when it was seen stands below it
SIDE = 640  # pixels of a frame's longer side


def overlay_clip(media: Media, trace: TokenTrace, path: str | Path) -> None:
    """Write an mp4: every frame's overlay for half a second, below it its time and its counts.

    The fates are those at the end of the run; a file that is there is replaced.
    """
    canvas = Canvas.over(media.frames[0], trace.layout, SIDE)
    page = Sheet(1, 1, max(canvas.width, ZOOM * LEAST), canvas)
    write_mp4(path, _pictures(media, trace, page), RATE)


def _pictures(media: Media, trace: TokenTrace, page: Sheet) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 a frame."""
    for cell in frame_cells(media, trace, size=SIDE):
        picture = page.blank()
        page.place(picture, 0, cell.picture, *cell.lines)
        yield np.asarray(picture)
