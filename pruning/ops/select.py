"""Choosing tokens by a score. Ties go to the earlier token, so a choice never depends on luck."""

from __future__ import annotations

import torch
from torch import Tensor


def top(scores: Tensor, k: int) -> Tensor:
    """The `k` best of `scores` (n,): their indices (k,), ascending."""
    best = scores.argsort(descending=True, stable=True)[:k]  # (k,)
    return best.sort().values


def rank_within(groups: Tensor, scores: Tensor) -> Tensor:
    """(n,) int64 rank of each token in its group (n,), 0 for the best-scored one."""
    order = scores.argsort(descending=True, stable=True)  # (n,)
    order = order[groups[order].argsort(stable=True)]  # group by group, best first
    sizes = groups.bincount()  # (G,)
    starts = sizes.cumsum(0) - sizes  # (G,)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - starts[groups[order]]
    return rank
