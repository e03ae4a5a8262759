"""Draw a clip as a strip of frames, each with its overlay, time and counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.render.overlay import fate_counts, overlay
from app.render.palette import at_layer
from app.render.sheet import Sheet
from app.render.text import format_seconds
from models.uploads.media import Media
from pruning.trace import TokenTrace


@dataclass(frozen=True, eq=False)
class FrameCell:
    """One frame of the strip, with the counts of its tokens."""

    frame: int
    time: float  # seconds into the clip
    picture: Image.Image
    kept: int
    merged: int
    dropped: int
    shared: bool  # its tokens belong to the frame before: the model encodes both as one

    @property
    def lines(self) -> tuple[str, str, str]:
        """The text below the frame."""
        first = f"{format_seconds(self.time)} · kept {self.kept:,}"
        if self.shared:
            return first, "with the frame before", ""
        return first, f"merged {self.merged:,}", f"dropped {self.dropped:,}"

    @property
    def description(self) -> str:
        """The text alternative of the frame."""
        counts = f"kept {self.kept:,}, merged {self.merged:,}, dropped {self.dropped:,}"
        shared = ", with the frame before" if self.shared else ""
        return f"Frame {self.frame + 1} at {format_seconds(self.time)}: {counts}{shared}"


def frame_cells(
    media: Media, trace: TokenTrace, *, size: int = 320, layer: int | None = None
) -> list[FrameCell]:
    """One cell per frame.

    Args:
        media: The clip.
        trace: The lane's provenance.
        size: Pixels on the longer side of a frame; twice the size on the page keeps lines thin.
        layer: The LLM layer whose input is drawn; None for the end of the run.
    """
    now = at_layer(trace, layer)
    own = np.unique(trace.layout.frame[trace.layout.placed])  # frames that have tokens
    cells = []
    for index, (frame, time) in enumerate(zip(media.frames, media.times, strict=True)):
        counts = fate_counts(now, index)
        counts.pop("tokens")
        picture = overlay(frame, trace, index, size, layer)
        cells.append(FrameCell(index, float(time), picture, **counts, shared=index not in own))
    return cells


def strip(media: Media, trace: TokenTrace, *, width: int = 1440) -> Image.Image:
    """All cells on a contact sheet of at most `width` pixels of the page."""
    sheet = Sheet.over(media, trace.layout, width)
    size = max(sheet.canvas.width, sheet.canvas.height)
    picture = sheet.blank()
    for cell in frame_cells(media, trace, size=size):
        sheet.place(picture, cell.frame, cell.picture, *cell.lines)
    return picture
