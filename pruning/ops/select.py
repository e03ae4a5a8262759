"""Choosing tokens by a score. Ties go to the earlier token, so a choice never depends on luck."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.token_map import TokenMap


def top(scores: Tensor, k: int) -> Tensor:
    """The `k` best of `scores` (n,): their indices (k,), ascending."""
    best = scores.argsort(descending=True, stable=True)[:k]  # (k,)
    return best.sort().values


def best(scores: Tensor, k: int) -> TokenMap:
    """The `k` best of `scores` (n,), as they are."""
    return TokenMap.select(top(scores, k), len(scores), scores=scores)


def rank_within(groups: Tensor, scores: Tensor) -> Tensor:
    """(n,) int64 rank of each token in its group (n,), 0 for the best-scored one."""
    order = scores.argsort(descending=True, stable=True)  # (n,)
    order = order[groups[order].argsort(stable=True)]  # group by group, best first
    sizes = groups.bincount()  # (G,)
    starts = sizes.cumsum(0) - sizes  # (G,)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - starts[groups[order]]
    return rank


def best_offered(groups: Tensor, scores: Tensor, count: int, each: int) -> Tensor:
    """The best `count` (k,), ascending, of what groups offer: their best `each`, or as many more as
    it takes. None has a quota, none can crowd out the others.
    """
    rank = rank_within(groups, scores)  # (n,)
    enough = int(rank.sort().values[count - 1]) + 1
    candidate = rank < max(each, enough)  # (n,)
    return top(scores.masked_fill(~candidate, -torch.inf), count)


def in_turns(groups: Tensor, scores: Tensor, count: int) -> Tensor:
    """`count` tokens (k,), ascending: every group gives its best before any gives its second.

    The last turn, which may not reach every group, is the best-scored tokens'.
    """
    order = scores.argsort(descending=True, stable=True)  # (n,)
    turn = rank_within(groups, scores)[order]  # (n,)
    return order[turn.argsort(stable=True)][:count].sort().values
