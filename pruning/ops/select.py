"""Selection of tokens by score. Of equal scores the earlier token is chosen: deterministic."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.token_map import TokenMap


def top(scores: Tensor, k: int) -> Tensor:
    """Indices (k,) of the `k` best of `scores` (n,), ascending."""
    best = scores.argsort(descending=True, stable=True)[:k]  # (k,)
    return best.sort().values


def best(scores: Tensor, k: int) -> TokenMap:
    """Keep the tokens with the `k` best of `scores` (n,)."""
    return TokenMap.select(top(scores, k), len(scores), scores=scores)


def rank_within(groups: Tensor, scores: Tensor) -> Tensor:
    """(n,) int64 rank of each token in its group (n,); 0 = best score."""
    order = scores.argsort(descending=True, stable=True)  # (n,)
    order = order[groups[order].argsort(stable=True)]  # group by group, best first
    sizes = groups.bincount()  # (G,)
    starts = sizes.cumsum(0) - sizes  # (G,)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - starts[groups[order]]
    return rank


def best_of_each(groups: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    """Indices (K,), ascending, of the best `counts` (G,) tokens of each group."""
    return (rank_within(groups, scores) < counts[groups]).nonzero().squeeze(1)


def best_offered(groups: Tensor, scores: Tensor, count: int, each: int) -> Tensor:
    """Indices (k,), ascending, of the best `count` among the best `each` tokens of every group.

    If those are too few, every group offers more.
    """
    rank = rank_within(groups, scores)  # (n,)
    enough = int(rank.sort().values[count - 1]) + 1
    candidate = rank < max(each, enough)  # (n,)
    return top(scores.masked_fill(~candidate, -torch.inf), count)


def in_turns(groups: Tensor, scores: Tensor, count: int) -> Tensor:
    """Indices (k,), ascending, of `count` tokens: the best of each group, then the second, …

    In the last turn, which may not reach all groups, the best scores win.
    """
    order = scores.argsort(descending=True, stable=True)  # (n,)
    turn = rank_within(groups, scores)[order]  # (n,)
    return order[turn.argsort(stable=True)][:count].sort().values
