"""Density-peak clustering by nearest neighbours (DPC-kNN), of all frames at once."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.ops.select import marked, rank_each
from pruning.ops.tree import Forest
from pruning.token_map import TokenMap

NEIGHBOURS = 7  # tokens that define a density


def distances(tokens: Tensor, alive: Tensor) -> Tensor:
    """(T, N, D) -> (T, N, N) Euclidean distances over √D; infinite where a token is not alive.

    One matrix product takes a third of the time of `torch.cdist`; centring limits cancellation.
    """
    tokens = tokens.float() - tokens.float().mean(dim=1, keepdim=True)
    product = tokens @ tokens.mT  # (T, N, N)
    square = product.diagonal(dim1=1, dim2=2)  # (T, N)
    square = square[:, :, None] + square[:, None] - 2 * product  # 0 on the diagonal, exactly
    distance = (square.clamp_min(0) / tokens.shape[-1]).sqrt()
    return distance.masked_fill(~(alive[:, :, None] & alive[:, None]), torch.inf)


def density_peaks(
    distance: Tensor, alive: Tensor, neighbours: int = NEIGHBOURS, counts: Tensor | None = None
) -> Tensor:
    """(T, N) score of each token as a centre: its density times the distance to a denser token.

    Args:
        distance: (T, N, N), infinite where a token is not alive.
        alive: (T, N) bool.
        neighbours: nearest tokens that define the density; the token itself counts.
        counts: (T,) limits them in each frame.
    """
    limit = alive.sum(dim=1) if counts is None else torch.minimum(alive.sum(dim=1), counts)
    limit = limit.clamp(1, neighbours)  # (T,)
    nearest = distance.topk(min(neighbours, len(distance[0])), largest=False).values  # (T, N, k)
    counted = torch.arange(nearest.shape[2], device=alive.device) < limit[:, None, None]
    spread = nearest.square().where(counted, 0).sum(dim=2) / limit[:, None]  # (T, N)
    density = torch.exp(-spread)
    order = rank_each(density)  # (T, N)
    denser = order[:, None, :] < order[:, :, None]  # (T, N, N); of equals, the earlier token
    farthest = distance.where(distance.isfinite(), 0).amax(dim=(1, 2))  # (T,)
    gap = distance.where(denser, torch.inf).amin(dim=2)  # (T, N)
    gap = torch.minimum(gap, farthest[:, None])
    return (density * gap).masked_fill(~alive, -torch.inf)


def best(score: Tensor, counts: Tensor) -> Tensor:
    """(T, N) bool: the best `counts` (T,) of each frame; of equals, the earlier token."""
    return rank_each(score) < counts[:, None]


def dpc_knn(
    tokens: Tensor,
    alive: Tensor,
    counts: Tensor,
    neighbours: int = NEIGHBOURS,
    is_limited: bool = True,
) -> Tensor:
    """(T, N) int64 centre of the cluster of each token in its frame; −1 = not alive.

    Args:
        tokens: (T, N, D).
        alive: (T, N) bool: the tokens to cluster.
        counts: (T,) clusters of each frame, at most its tokens alive.
        neighbours: tokens that define a density.
        is_limited: they are at most as many as the clusters.
    """
    distance = distances(tokens, alive)
    score = density_peaks(distance, alive, neighbours, counts if is_limited else None)
    centre = best(score, counts) & alive  # (T, N)
    label = distance.masked_fill(~centre[:, None], torch.inf).argmin(dim=2)  # (T, N)
    itself = torch.arange(tokens.shape[1], device=tokens.device)  # (N,)
    label = torch.where(centre, itself, label)
    return label.masked_fill(~alive | (counts == 0)[:, None], -1)


def condense(
    forest: Forest,
    tokens: Tensor,
    counts: Tensor,
    total: int,
    neighbours: int = NEIGHBOURS,
    weight: float | None = None,
) -> TokenMap:
    """The trees with the roots of each frame clustered to `counts` (T,), as means of the roots.

    Args:
        forest: over the n = T · N tokens.
        tokens: (T, N, D).
        counts: (T,) clusters of each frame, at most its roots.
        total: clusters of all frames.
        neighbours: tokens that define a density, at most `counts`.
        weight: of a centre beside the mean of its cluster's others; None = as one of them.
    """
    slot, packed = pack(forest, len(tokens))  # (n,), (T, most)
    alive = packed >= 0
    trees = TokenMap.merge(packed.flatten(), slot, forest.weights)
    roots = trees.apply(tokens.flatten(0, 1).float()).view(*packed.shape, -1)  # (T, most, D)
    label = dpc_knn(roots, alive, counts, neighbours)  # (T, most)
    index = torch.arange(len(trees), device=slot.device)  # (T · most,)
    centre = index.view_as(label)[:, :1] + label  # (T, most)
    centre = centre.masked_fill(label < 0, -1).flatten()
    centres = marked(centre == index, total)  # (K,)
    row = torch.searchsorted(centres, centre).masked_fill(centre < 0, -1)  # (T · most,)
    share = shares(row, centre == index, total, weight)  # (T · most,)
    # Trees and clusters have each token in one row at most; so has their product.
    owner = row[slot].masked_fill(slot < 0, -1)  # (n,)
    return TokenMap.merge(trees.anchors[centres], owner, forest.weights * share[slot])


def pack(forest: Forest, frames: int) -> tuple[Tensor, Tensor]:
    """The slot of the root of each token (n,), −1 = none, and the root in each slot (T, most).

    A slot without a root has −1. A static clip has far fewer roots than tokens, so packing them
    saves more than it costs; on a GPU the host waits for the most roots of a frame.
    """
    is_root = forest.is_root.view(frames, -1)  # (T, N)
    most = max(1, int(is_root.sum(dim=1).max()))
    frame = torch.arange(frames, device=is_root.device)[:, None]  # (T, 1)
    slot = (frame * most + is_root.cumsum(dim=1) - 1).flatten()  # (n,) of a root
    spare = frames * most  # where the tokens go that are no roots
    index = torch.arange(len(slot), device=slot.device)
    packed = slot.new_full((spare + 1,), -1)
    packed = packed.scatter(0, slot.where(is_root.flatten(), spare), index)[:spare]
    return slot[forest.root].masked_fill(forest.root < 0, -1), packed.view(frames, most)


def shares(row: Tensor, is_centre: Tensor, total: int, weight: float | None) -> Tensor:
    """(R,) float32 weight of each root in its cluster `row` (R,), of `total`; −1 = in none.

    `weight` is that of a centre beside the mean of the others; None = as one of them.
    """
    sizes = row.new_zeros(total + 1).index_add(0, row + 1, torch.ones_like(row))  # first: of −1
    size = sizes[row + 1].float()  # (R,)
    if weight is None:
        return 1 / size
    others = (size - 1).clamp_min(1)
    return torch.where(size > 1, torch.where(is_centre, weight, (1 - weight) / others), 1.0)
