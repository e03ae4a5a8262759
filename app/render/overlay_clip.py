"""Write the overlays of a lane as an mp4."""

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

RATE = 2  # frames per second, slow enough to look at each
SIDE = 640  # pixels of a frame's longer side


def overlay_clip(media: Media, trace: TokenTrace, path: str | Path) -> None:
    """Show the fates at the end of the run, each frame for half a second, with time and counts.

    Replaces the file at `path`.
    """
    canvas = Canvas.over(media.frames[0], trace.layout, SIDE)
    page = Sheet(1, 1, max(canvas.width, ZOOM * LEAST), canvas)

    def pictures() -> Iterator[np.ndarray]:
        for cell in frame_cells(media, trace, size=SIDE):
            picture = page.blank()
            page.place(picture, 0, cell.picture, *cell.lines)
            yield np.asarray(picture)

    write_mp4(path, pictures(), RATE)
