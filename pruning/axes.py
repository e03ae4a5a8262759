"""Ids of survivors on the three axes of M-RoPE: time, row and column. One axis: see positions.py.

Text has the same id on all axes, one above the largest id before it. PESP is that of Nüwa's
official code for Qwen2.5-VL: every survivor keeps its three ids. The paper does not define the
others here; these are ours. PERC ranks rows and columns, so that none is empty. RPME stretches each
to its full extent. No strategy changes the ids of time, which count seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    if not len(time):
        return places, (0, 0, 0) if strategy is PositionStrategy.PERC else extents
    if strategy is PositionStrategy.PERC:
        ids = torch.stack([time, *map(rank, sides)])
        span, rows, cols = (int(axis.max()) + 1 for axis in ids)
        return start + ids, (span, rows, cols)
    if strategy in STRETCHES:
        stretch = STRETCHES[strategy]
        sides = [stretch(side, extent - 1) for side, extent in zip(sides, extents[1:], strict=True)]
    return start + torch.stack([time, *sides]), extents


def place_between(
    strategy: PositionStrategy, texts: Sequence[int], parts: Sequence[Tensor], extents: Extents
) -> tuple[Tensor, Extents]:
    """Ids (3, S) of pieces of text and, between each and the next, of survivors.

    Args:
        strategy: the numbering.
        texts: rows of each piece of text.
        parts: (3, K) places of the survivors, as in `place_on_axes`, one part fewer than texts.
        extents: those of each part without compression.

    Returns:
        The ids, and the extents of the last part's numbering if there is one, or else `extents`.
    """
    first, *others = texts
    ids, next_id = [torch.arange(first, device=parts[0].device).expand(3, -1)], first
    spanned = extents
    for places, length in zip(parts, others, strict=True):
        numbered, spanned = place_on_axes(strategy, places, next_id, extents)
        next_id += max(spanned)
        text = torch.arange(next_id, next_id + length, device=places.device).expand(3, -1)
        ids += [numbered, text]
        next_id += length
    return torch.cat(ids, dim=1), spanned if len(parts) == 1 else extents


def renumber_on_axes(
    strategy: PositionStrategy, ids: Tensor, visual: Tensor, rows: Tensor, extents: Extents
) -> tuple[Tensor, int]:
    """Ids (3, S') from a pruning layer on, and the shift by which later text and decode move up.

    Survivors between the same two text rows are numbered together. Shifts of several pruning layers
    add up. PERC closes all gaps, also those from before the LLM.

    Args:
        strategy: the numbering.
        ids: (3, S) int64 of the rows alive; the last row is text.
        visual: (S,) bool, which rows are visual.
        rows: (S',) int64 old row whose place each new row takes; contains all text rows.
        extents: those of the numbering before the LLM, of survivors that are numbered together.
    """
    if bool(visual[-1]):
        raise ValueError("the last row is visual; text must follow the picture")
    moved, kept = ids[:, rows], visual[rows]
    if strategy is PositionStrategy.PESP:
        return moved, 0
    text, first = ids[1, ~visual].tolist(), int(ids[1, 0])  # (O,)
    run = (~kept).cumsum(0)[kept]  # (K,) text rows before each survivor
    numbered, growth = moved[:, kept], [0] * len(text)
    for before in sorted(set(run.tolist())):
        start = text[before - 1] + 1 if before else 0
        room = text[before] - start
        limits = (extents[0], min(extents[1], room), min(extents[2], room))
        mine = run == before  # (K,)
        placed, spanned = place_on_axes(strategy, numbered[:, mine] - start, start, limits)
        if strategy is PositionStrategy.PERC:  # text and survivors follow without a gap
            placed = placed - start + first + before + sum(growth[:before])
            growth[before] = max(spanned)
        numbered[:, mine] = placed
    moved = moved.masked_scatter(kept, numbered)
    if strategy is not PositionStrategy.PERC:
        return moved, 0
    closed = first + torch.tensor(growth).cumsum(0) + torch.arange(len(text))  # (O,)
    moved[:, ~kept] = closed.to(moved.device)
    return moved, text[-1] - int(closed[-1])


def rank(side: Tensor) -> Tensor:
    """(K,) rank of each value among the distinct values of `side` (K,)."""
    distinct = torch.zeros(int(side.max()) + 1, dtype=torch.bool, device=side.device)
    return distinct.index_fill(0, side, True).cumsum(0)[side] - 1
