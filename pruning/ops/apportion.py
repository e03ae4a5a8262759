"""A total in whole tokens, out of quotas that are fractions."""

from __future__ import annotations

import torch
from torch import Tensor


def apportion(quota: Tensor, room: Tensor, total: int) -> Tensor:
    """(G,) int64 shares that sum to `total`: the floors, then by largest remainder.

    Args:
        quota: (G,) float64, what each should get.
        room: (G,) int64, what each can hold; together at least `total`.
        total: what there is to share out.
    """
    assert 0 <= total <= int(room.sum())
    share = torch.minimum(quota.floor().long(), room)
    order = (quota - share).argsort(descending=True, stable=True)  # (G,)
    while (missing := total - int(share.sum())) > 0:
        share[order[(share < room)[order]][:missing]] += 1
    order = order.flip(0)
    while (surplus := int(share.sum()) - total) > 0:
        share[order[(share > 0)[order]][:surplus]] -= 1
    return share


def shared(roots: Tensor, segment: Tensor, each: int) -> Tensor:
    """(T,) float64: `each` token a frame, shared inside its segment in proportion to `roots`.

    Args:
        roots: (T,) int64, what each frame has.
        segment: (T,) int64, ascending from 0.
        each: what every frame brings to its segment.
    """
    length = segment.bincount()  # (G,)
    total = torch.zeros_like(length).index_add(0, segment, roots).clamp_min(1)  # (G,)
    return (each * length[segment] * roots).double() / total[segment]
