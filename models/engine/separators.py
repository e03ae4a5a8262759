"""Separators (image_newline) among survivors: who stands where, and by which number.

Before the LLM (`number`) and, with the text, inside it (`renumber`).

A separator is a row like text: no method sees it, scores it or drops it. It stands after as many
survivors as have their place before it. R separators, K survivors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.base import PositionStrategy
from pruning.positions import place
from pruning.tokens import TokenLayout


def number(
    strategy: PositionStrategy, places: Tensor, n: int, stops: Tensor
) -> tuple[Tensor, Tensor, int]:
    """Rows (R,) of the separators, ids (R + K,) of all rows, and the id of what comes next.

    Survivors are numbered among themselves, and each separator moves what follows it up by one. It
    keeps its own number; under PERC it takes the next one, as it would in a smaller picture.

    Args:
        strategy: how survivors are numbered.
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
    """Rows (O,) of what is not visual, and ids (O + K,) of all rows, from a pruning layer on.

    Text is numbered as separators are: those before the picture have none of its tokens before
    them, those after it all. PERC closes every gap, those left before the LLM too.

    Args:
        strategy: how to number survivors.
        ids: (S,) int64 of the rows now alive, from 0 where none was dropped; the last row is text.
        fixed: (O,) int64 rows of text and separators, ascending.
        taken: (K,) int64 rows whose places the survivors take.
    """
    assert int(fixed[-1]) == len(ids) - 1, "text must follow the picture"
    stops = ids[fixed] - torch.arange(len(fixed), device=ids.device)  # (O,)
    places = ids[taken] - count_before(ids[taken], ids[fixed])  # (K,)
    rows, renumbered, _ = number(strategy, places, int(stops[-1]), stops)
    return rows, renumbered


def raster_places(layout: TokenLayout, anchors: Tensor) -> Tensor:
    """(K,) rank of each anchor among the placed tokens; −1 where it has no place."""
    placed = torch.from_numpy(layout.placed).to(anchors.device)  # (N,) bool
    rank = torch.where(placed, placed.cumsum(0) - 1, -1)
    return torch.where(anchors >= 0, rank[anchors.clamp_min(0)], -1)


def count_before(stops: Tensor, places: Tensor) -> Tensor:
    """(R,) how many of `places` (K,), in whatever order they are, lie before each stop (R,)."""
    return torch.searchsorted(places.sort().values, stops)


def free_rows(rows: Tensor, length: int) -> Tensor:
    """The rows below `length` that are not among `rows`, ascending."""
    free = torch.ones(length, dtype=torch.bool, device=rows.device).index_fill(0, rows, False)
    return free.nonzero().squeeze(1)


def weave(rows: Tensor, fixed: Tensor, free: Tensor) -> Tensor:
    """(R + K, …): `fixed` (R, …) in `rows` (R,), and `free` (K, …) in order in those between."""
    woven = free.new_empty(len(fixed) + len(free), *free.shape[1:])
    woven[rows], woven[free_rows(rows, len(woven))] = fixed.to(free.dtype), free
    return woven
