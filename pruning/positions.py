"""Ids of survivors for rotary embedding on one axis (plain RoPE). M-RoPE: see axes.py.

Ids are int64, one for each row. Rows may come in any order and may share a place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.base import PositionStrategy


def place(
    strategy: PositionStrategy, places: Tensor, start: int, n: int | Tensor
) -> tuple[Tensor, int | Tensor]:
    """Ids (K,) of the survivors, and the id of the first text token after them.

    Args:
        strategy: the numbering.
        places: (K,) int64 raster rank among the `n` placed tokens; −1 = placeless: the first place.
        start: id of the first visual token without compression.
        n: number of placed tokens of the picture or clip, and of its ids without compression.
    """
    places = places.clamp_min(0)
    if strategy is PositionStrategy.PERC:
        return start + torch.arange(len(places), device=places.device), start + len(places)
    if strategy is PositionStrategy.PESP:
        return start + places, start + n
    return start + STRETCHES[strategy](places, n - 1), start + n


def stretch_literal(places: Tensor, last: int | Tensor) -> Tensor:
    """Algorithm 3 of Nüwa: the first place becomes 0, others ⌈place · last / last place⌉."""
    ceiled = -(-places * last // places.max().clamp_min(1))
    return torch.where(places == places.min(), 0, ceiled)


def stretch_affine(places: Tensor, last: int | Tensor) -> Tensor:
    """The first place becomes 0, the last `last`, others in proportion, rounded half up."""
    steps = places - places.min()
    span = steps.max().clamp_min(1)
    return (2 * steps * last + span) // (2 * span)


STRETCHES = {
    PositionStrategy.RPME: stretch_literal,
    PositionStrategy.RPME_AFFINE: stretch_affine,
}
