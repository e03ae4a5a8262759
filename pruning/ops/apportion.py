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
    share = torch.minimum(quota.floor().long(), room)
    order = (quota - share).argsort(descending=True, stable=True)  # (G,)
    missing = total - share.sum()
    share = share + deal(missing.clamp_min(0), room - share, order)
    return share - deal(missing.neg().clamp_min(0), share, order.flip(0))


def deal(amount: Tensor, room: Tensor, order: Tensor) -> Tensor:
    """(G,) int64 what each group gets if `amount` () is dealt out one by one, in turns.

    Args:
        amount: () int64, at most the sum of `room`.
        room: (G,) int64 most that a group takes; a full group is passed over.
        order: (G,) groups in the order of a turn.
    """
    level = room.sort().values  # (G,) turns after which a group is full
    taking = len(room) - torch.arange(len(room), device=room.device)  # (G,) groups up to there
    dealt = level.cumsum(0) - level + taking * level  # (G,) in that many turns
    turns = (level + (amount - dealt).div(taking, rounding_mode="floor")).amax()  # whole ones
    share = torch.minimum(room, turns)  # (G,)
    takes = (room > share)[order]  # (G,) one more, if any is left
    last = takes & (takes.cumsum(0) <= amount - share.sum())
    return share.index_add(0, order, last.long())


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
    length = torch.zeros_like(segment).index_add(0, segment, torch.ones_like(segment))  # (T,)
    total = torch.zeros_like(length).index_add(0, segment, roots).clamp_min(1)  # (T,)
    return widest(each * length[segment] * roots) / total[segment]
