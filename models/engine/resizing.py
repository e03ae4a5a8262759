"""Prepares the smaller picture of a method that acts on pixels."""

from __future__ import annotations

from models.engine.base import Adapter, Prompt
from models.uploads.media import Media
from pruning.base import CompressionMethod, Seam
from pruning.budget import Budget
from pruning.ops.grid import grid_of, smaller


def resized(
    adapter: Adapter,
    media: Media,
    question: str,
    whole: Prompt,
    method: CompressionMethod,
    budget: Budget,
) -> Prompt:
    """The prompt of the upload at the size of `budget`; `whole` if the method changes no pixels."""
    if method.seam is not Seam.PIXELS:
        return whole
    full = grid_of(whole.layout, method.title)
    grid = smaller(full, budget.before)
    return whole if grid == full else adapter.prepare(media, question, grid)
