"""Ids of survivors on the three axes of M-RoPE: time, row and column. One axis: see positions.py.

Text has the same id on all axes, one above the largest id before it. PESP is that of Nüwa's
official code for Qwen2.5-VL: every survivor keeps its three ids. The paper does not define the
others here; these are ours. PERC ranks rows and columns, so that none is empty. RPME stretches each
to its full extent. No strategy changes the ids of time, which count seconds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.base import PositionStrategy
from pruning.positions import STRETCHES

Extents = tuple[int, int, int]  # ids between the first and one past the last, on each axis


def place_on_axes(
    strategy: PositionStrategy, places: Tensor, start: int, extents: Extents
) -> tuple[Tensor, Extents]:
    """Ids (3, K) of the survivors before the LLM, and the extents of their numbering.

    The id of the first text token after them is `start` plus the largest extent.

    Args:
        strategy: the numbering.
        places: (3, K) int64 from the picture's first time, row and column; −1 = placeless: the
            first place.
        start: first id of the picture on every axis.
        extents: those of the picture or clip.
    """
    time, *sides = places.clamp_min(0)  # (K,) each
    if strategy is PositionStrategy.PERC:
        ids = torch.stack([time, *map(rank, sides)])
        span, rows, cols = (int(axis.max()) + 1 for axis in ids)
        return start + ids, (span, rows, cols)
    if strategy in STRETCHES:
        stretch = STRETCHES[strategy]
        sides = [stretch(side, extent - 1) for side, extent in zip(sides, extents[1:], strict=True)]
    return start + torch.stack([time, *sides]), extents


def renumber_on_axes(
    strategy: PositionStrategy, ids: Tensor, visual: Tensor, rows: Tensor, extents: Extents
) -> tuple[Tensor, int]:
    """Ids (3, S') from a pruning layer on, and the shift by which later text and decode move up.

    Shifts of several pruning layers add up. PERC closes all gaps, also those from before the LLM.

    Args:
        strategy: the numbering.
        ids: (3, S) int64 of the rows alive; the last row is text.
        visual: (S,) bool, which rows are visual.
        rows: (S',) int64 old row whose place each new row takes; contains all text rows.
        extents: those of the numbering before the LLM.
    """
    if bool(visual[-1]):
        raise ValueError("the last row is visual; text must follow the picture")
    moved, kept = ids[:, rows], visual[rows]
    if strategy is PositionStrategy.PESP:
        return moved, 0
    start, taken = picture_span(ids[1], visual)
    numbered, spanned = place_on_axes(strategy, moved[:, kept] - start, start, extents)
    shift = taken - max(spanned)
    moved = torch.where(moved < start, moved, moved - shift)
    return moved.masked_scatter(kept, numbered), shift


def picture_span(ids: Tensor, visual: Tensor) -> tuple[int, int]:
    """The first id and the number of ids between the text before the picture and after it."""
    text, picture = ids[~visual], ids[visual]
    before = text[text < picture.min()]
    start = int(before.max()) + 1 if len(before) else 0
    return start, int(text[text > picture.max()].min()) - start


def rank(side: Tensor) -> Tensor:
    """(K,) rank of each value among the distinct values of `side` (K,)."""
    distinct = torch.zeros(int(side.max()) + 1, dtype=torch.bool, device=side.device)
    return distinct.index_fill(0, side, True).cumsum(0)[side] - 1
