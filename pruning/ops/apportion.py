"""Rounds fractional quotas to whole tokens with a given total."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.ops.precision import widest

TINY = 1e-30  # no quota at all


def apportion(quota: Tensor, room: Tensor, total: int) -> Tensor:
    """(G,) int64 shares that sum to `total`, by the largest-remainder method.

    Args:
        quota: (G,) float64 exact share of each group.
        room: (G,) int64 largest share of each group; the sum is at least `total`.
        total: tokens of all groups together.
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


def capped(quota: Tensor, room: Tensor) -> Tensor:
    """Quotas (G,) of at most `room` (G,): what one cannot hold goes to the others in proportion."""
    total, full = quota.sum(), torch.zeros_like(room, dtype=torch.bool)
    while bool((over := (quota > room) & ~full).any()):
        full = full | over
        free = quota.masked_fill(full, 0)
        left = total - room[full].sum()
        quota = torch.where(full, room.to(quota.dtype), free * left / free.sum().clamp_min(TINY))
    return quota


def within_segments(roots: Tensor, segment: Tensor, each: int) -> Tensor:
    """(T,) float64 quotas: the `each` tokens per frame of a segment, in proportion to `roots`.

    Args:
        roots: (T,) int64 number of roots in each frame.
        segment: (T,) int64 segment of each frame, ascending from 0.
        each: tokens per frame on average.
    """
    length = segment.bincount()  # (G,)
    total = torch.zeros_like(length).index_add(0, segment, roots).clamp_min(1)  # (G,)
    return widest(each * length[segment] * roots) / total[segment]
