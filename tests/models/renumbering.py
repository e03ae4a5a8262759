"""How the oracles of law 10 number survivors on three axes, and PERC on one: row by row."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor

from models.engine.base import Sequence
from pruning.axes import place_on_axes
from pruning.base import PositionStrategy


def contiguous(ids: Tensor, alive: Tensor, visual: Tensor) -> Tensor:
    """Position ids (…, R) without gaps among the rows alive (R,); other rows keep any id."""
    if ids.dim() == 1:
        return alive.cumsum(0) - 1
    numbered, picture, run = ids.clone(), set(visual.tolist()), []
    start, next_id = 0, 0  # ids behind the last text row, until then and from then on
    for row in range(ids.shape[1]):
        if row in picture:
            run += [row] if alive[row] else []
            continue
        if run:  # survivors between two text rows
            numbered[0, run] = ids[0, run] - start + next_id
            for side in (1, 2):  # rows and columns; time keeps its steps
                taken = ids[side, run].unique()
                numbered[side, run] = next_id + torch.searchsorted(taken, ids[side, run])
            next_id = int(numbered[:, run].max()) + 1
        numbered[:, row] = next_id
        start, next_id, run = int(ids[0, row]) + 1, next_id + 1, []
    return numbered


def renumbered_on_axes(
    ids: Tensor, strategy: PositionStrategy, fixed: list[int], left: Tensor, entered: Sequence
) -> tuple[list[int], Tensor]:
    """The same of ids (3, R). Survivors between the same two text rows are numbered together."""
    order, survivors = [], iter(left.tolist())
    stretches = strategy in {PositionStrategy.RPME, PositionStrategy.RPME_AFFINE}
    placed = ids.clone()
    for row in fixed:
        run = list(
            islice(survivors, int((left < row).sum()) - sum(at not in fixed for at in order))
        )
        if run and stretches:
            start = int(ids[0, order[-1]]) + 1
            numbers, _ = place_on_axes(strategy, ids[:, run] - start, start, entered.extents)
            placed[:, run] = numbers
        order += [*run, row]
    if strategy is PositionStrategy.PERC:
        alive = torch.zeros(ids.shape[1], dtype=torch.bool).index_fill(0, torch.tensor(order), True)
        return order, contiguous(ids, alive, entered.visual)
    return order, placed
