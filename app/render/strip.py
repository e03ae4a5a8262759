"""A clip as a strip of frames: what became of the tokens of each, and when it was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.render.overlay import fate_counts, overlay
from app.render.palette import at_layer
from app.render.sheet import Sheet
from models.uploads.media import Media
from pruning.trace import TokenTrace


@dataclass(frozen=True, eq=False)
class FrameCell:
    """One frame of the strip. Counts are of the tokens drawn on it."""

    frame: int
    time: float  # seconds into the clip
    picture: Image.Image
    kept: int
    merged: int
    dropped: int
    shared: bool  # its tokens began on the frame before, which stands for both

    @property
    def lines(self) -> tuple[str, str, str]:
        """The words below the frame."""
        first = f"{seconds(self.time)} · kept {self.kept:,}"
        if self.shared:
            return first, "with the frame before", ""
        return first, f"merged {self.merged:,}", f"dropped {self.dropped:,}"

    @property
    def words(self) -> str:
        """The frame in a sentence: its text alternative."""
        counts = f"kept {self.kept:,}, merged {self.merged:,}, dropped {self.dropped:,}"
        shared = ", with the frame before" if self.shared else ""
        return f"Frame {self.frame + 1} at {seconds(self.time)}: {counts}{shared}"


def frame_cells(
    media: Media, trace: TokenTrace, *, size: int = 320, layer: int | None = None
) -> list[FrameCell]:
    """One cell a frame, for a page that lays them out and writes the words itself.

    Args:
        media: The clip; a picture is a clip of one frame.
        trace: The lane's provenance.
        size: Pixels on a frame's longer side; twice what the page shows keeps the lines thin.
        layer: None for the end of the run, else as that LLM layer sees it.
    """
    now = trace if layer is None else at_layer(trace, layer)
    begins = np.unique(trace.layout.frame[trace.layout.placed])
    cells = []
    for index, (frame, time) in enumerate(zip(media.frames, media.times, strict=True)):
        counts = fate_counts(now, index)
        counts.pop("tokens")
        picture = overlay(frame, trace, index, size, layer)
        cells.append(FrameCell(index, float(time), picture, **counts, shared=index not in begins))
    return cells


def strip(media: Media, trace: TokenTrace, *, width: int = 1440) -> Image.Image:
    """All cells on one contact sheet, `width` pixels of the page at most; drawn with twice that."""
    sheet = Sheet.over(media, trace.layout, width)
    size = max(sheet.canvas.width, sheet.canvas.height)
    picture = sheet.blank()
    for cell in frame_cells(media, trace, size=size):
        sheet.place(picture, cell.frame, cell.picture, *cell.lines)
    return picture


def seconds(time: float) -> str:
    """ "1.25 s", and "83.5 s" from ten on."""
    return f"{time:.2f} s" if abs(time) < 9.995 else f"{time:.1f} s"
