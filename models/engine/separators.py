"""Rows and position ids of separators (image_newline) among survivors.

`number` computes them before the LLM, `renumber` inside it, together with the text.

A separator is a row like text: no method sees, scores or drops it. It follows the survivors whose
places are before it. R separators, K survivors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.base import PositionStrategy
from pruning.ops.select import remaining
from pruning.positions import place
from pruning.tokens import TokenLayout


def number(
    strategy: PositionStrategy, places: Tensor, n: int | Tensor, stops: Tensor
) -> tuple[Tensor, Tensor, int | Tensor]:
    """Rows (R,) of the separators, ids (R + K,) of all rows, and the next free id.

    Numbers the survivors first; then each separator shifts all rows after it by one. A separator
    keeps its original id; under PERC it takes the next free id, as in a smaller picture.

    Args:
        strategy: position strategy of the survivors.
        places: (K,) int64 raster rank among the `n` placed tokens; −1 = none.
        n: placed tokens of the whole picture or clip.
        stops: (R,) int64 placed tokens before each separator, ascending.
    """
    numbers, end = place(strategy, places, 0, n)  # (K,)
    if strategy is PositionStrategy.PERC:
        stops = count_before(stops, places)
    count = torch.arange(len(stops), device=stops.device)  # (R,)
    rows = count_before(stops, numbers) + count  # (R,)
    ids = numbers + torch.searchsorted(stops, numbers, right=True)  # (K,)
    return rows, weave(rows, stops + count, ids), end + len(stops)


def renumber(
    strategy: PositionStrategy, ids: Tensor, fixed: Tensor, taken: Tensor
) -> tuple[Tensor, Tensor]:
    """New rows (O,) of text and separators, and ids (O + K,) of all rows, at a pruning layer.

    Treats text rows as separators: no visual token precedes the text before the picture, all of
    them precede the text after it. PERC closes every gap, also gaps left before the LLM.

    Args:
        strategy: position strategy of the survivors.
        ids: (S,) int64 ids of the rows before pruning; the last row is text.
        fixed: (O,) int64 rows of text and separators, ascending.
        taken: (K,) int64 rows whose places the survivors take.
    """
    stops = ids[fixed] - torch.arange(len(fixed), device=ids.device)  # (O,)
    places = ids[taken] - count_before(ids[taken], ids[fixed])  # (K,)
    rows, renumbered, _ = number(strategy, places, stops[-1], stops)
    return rows, renumbered


def raster_places(layout: TokenLayout, anchors: Tensor) -> Tensor:
    """Rank (K,) of each anchor among the placed tokens; −1 if it has no place."""
    if layout.placed.all():
        return anchors
    placed = torch.from_numpy(layout.placed).to(anchors.device)  # (N,) bool
    rank = torch.where(placed, placed.cumsum(0) - 1, -1)
    return torch.where(anchors >= 0, rank[anchors.clamp_min(0)], -1)


def count_before(stops: Tensor, places: Tensor) -> Tensor:
    """Number (R,) of `places` (K,), in any order, before each stop (R,)."""
    return torch.searchsorted(places.sort().values, stops)


def weave(rows: Tensor, fixed: Tensor, free: Tensor) -> Tensor:
    """Interleaves (R + K, …): `fixed` (R, …) at `rows` (R,), `free` (K, …) in the other rows."""
    woven = free.new_empty(len(fixed) + len(free), *free.shape[1:])
    woven[rows], woven[remaining(rows, len(woven))] = fixed.to(free.dtype), free
    return woven
