"""The ids of survivors on the three axes of M-RoPE: time, row, column. See positions.py for one.

Text has the same id on all three, one above the largest id before it. PESP is what Nüwa's official
code for Qwen2.5-VL does: every survivor keeps its triple. Its paper is silent on the others; these
are ours. PERC ranks rows and columns, so that none of them is empty; RPME stretches each to its
full extent. Time stays as it is under all of them: its ids tell seconds.
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
    """Ids (3, K) of the survivors before the LLM, and the extents that they are numbered in.

    The first text token after them has the id `start` plus the largest of these extents.

    Args:
        strategy: how to number them.
        places: (3, K) int64 from the picture's first time, row and column; −1 = none: the first.
        start: first id of the picture on every axis.
        extents: of the whole picture or clip.
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
    """Ids (3, S') from a pruning layer on, and its shift: how far later text and decode move up.

    Shifts of several pruning layers add up. PERC closes every gap, those left before the LLM too.

    Args:
        strategy: how to number them.
        ids: (3, S) int64 of the rows now alive; the last row is text.
        visual: (S,) bool, which rows are visual.
        rows: (S',) int64 old row whose place each new row takes; all text rows are among them.
        extents: that the picture was numbered in before the LLM: survivors alone do not tell.
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
    """First id and number of ids between the text before the picture and the text after it."""
    text, picture = ids[~visual], ids[visual]
    before = text[text < picture.min()]
    start = int(before.max()) + 1 if len(before) else 0
    return start, int(text[text > picture.max()].min()) - start


def rank(side: Tensor) -> Tensor:
    """(K,) which of the distinct values of `side` (K,) each one is."""
    distinct = torch.zeros(int(side.max()) + 1, dtype=torch.bool, device=side.device)
    return distinct.index_fill(0, side, True).cumsum(0)[side] - 1
