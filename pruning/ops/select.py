"""Selection of tokens by score. Of equal scores the earlier token is chosen: deterministic.

Counts are Python numbers: the host does not wait for a GPU to compute them.
"""

from __future__ import annotations

import math

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


def marked(mask: Tensor, count: int) -> Tensor:
    """Indices (count,), ascending, of the marked tokens of `mask` (n,) bool, which has `count`."""
    return mask.to(torch.uint8).argsort(descending=True, stable=True)[:count]


def remaining(indices: Tensor, n: int) -> Tensor:
    """The tokens below `n` that are not among `indices`, ascending; no index comes twice."""
    taken = torch.zeros(n, dtype=torch.uint8, device=indices.device).index_fill(0, indices, 1)
    return taken.argsort(stable=True)[: n - len(indices)]


def rank_within(groups: Tensor, scores: Tensor) -> Tensor:
    """(n,) int64 rank of each token in its group (n,); 0 = best score."""
    order = scores.argsort(descending=True, stable=True)  # (n,)
    group, by_group = groups[order].sort(stable=True)  # group by group, best first
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(group, group)
    return torch.empty_like(order).index_copy(0, order[by_group], rank)


def rank_each(scores: Tensor) -> Tensor:
    """(…, n) int64 rank of each token in the last dimension; 0 = best score."""
    return scores.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)


def best_of_each(groups: Tensor, scores: Tensor, counts: Tensor) -> Tensor:
    """Indices (K,), ascending, of the best `counts` (G,) tokens of each group."""
    return (rank_within(groups, scores) < counts[groups]).nonzero().squeeze(1)


def best_offered(rank: Tensor, scores: Tensor, count: int, each: int) -> Tensor:
    """Indices (k,), ascending, of the best `count` among the best `each` tokens of every group.

    If those are too few, every group offers more. `rank` (n,) is that of each token in its group.
    """
    worst = rank.sort().values[count - 1].clamp_min(each - 1)  # () rank that is still offered
    return top(scores.masked_fill(rank > worst, -torch.inf), count)


def quantile(values: Tensor, share: float) -> Tensor:
    """`values.quantile(share)` in fewer launches: its place in the sorted values is a number."""
    place = float(torch.tensor(share, dtype=values.dtype) * (len(values) - 1))  # rounds as torch
    ordered = values.sort().values
    return torch.lerp(ordered[int(place)], ordered[math.ceil(place)], place % 1)


def in_turns(groups: Tensor, scores: Tensor, count: int) -> Tensor:
    """Indices (k,), ascending, of `count` tokens: the best of each group, then the second, …

    In the last turn, which may not reach all groups, the best scores win.
    """
    order = scores.argsort(descending=True, stable=True)  # (n,)
    turn = rank_within(groups, scores)[order]  # (n,)
    return order[turn.argsort(stable=True)][:count].sort().values
