"""Trees of tokens over time: a token may hang on one token of the frame before."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from pruning.ops.select import rank_within
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap

UNLIKE = -1.0  # the similarity of a token that may hang on nothing


def link_anywhere(tokens: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Each free token's likest free token of the frame before: cosine and number, both (n,).

    Args:
        tokens: (T, N, D).
        free: (T, N) bool, those that may take part.
    """
    cosines = cosine(tokens[1:], tokens[:-1])  # (T − 1, N, N)
    similarity, nearest = cosines.masked_fill(~free[:-1, None], UNLIKE).max(dim=2)
    similarity = pad(similarity, (0, 0, 1, 0), value=UNLIKE).masked_fill(~free, UNLIKE)
    frame = torch.arange(len(tokens), device=tokens.device)[:, None]  # (T, 1)
    parent = (frame - 1).clamp_min(0) * tokens.shape[1] + pad(nearest, (0, 0, 1, 0))
    return similarity.flatten(), parent.flatten()


def link_in_place(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The token at the same place of the frame before: cosine and number, both (n,)."""
    alike = cosine_similarity(tokens[1:].float(), tokens[:-1].float(), dim=-1)  # (T − 1, N)
    similarity = pad(alike, (0, 0, 1, 0), value=UNLIKE).flatten()
    number = torch.arange(len(similarity), device=tokens.device)
    return similarity, (number - tokens.shape[1]).clamp_min(0)


def loosen(child: Tensor, similarity: Tensor, groups: Tensor, most: Tensor) -> Tensor:
    """(n,) bool: of each group's children, only the `most` (G,) that are likest their parents."""
    rank = rank_within(groups, similarity.masked_fill(~child, -torch.inf))  # (n,)
    return child & (rank < most[groups])


def trees(child: Tensor, parent: Tensor, partakes: Tensor, frames: int, mean: str) -> TokenMap:
    """A survivor for every root, the earliest token of its tree.

    Args:
        child: (n,) bool, who hangs on its parent; nobody that does not partake.
        parent: (n,) int64.
        partakes: (n,) bool; the others are in no tree.
        frames: T, which no path is longer than.
        mean: divide a tree's sum by all its tokens ("paper"), or by its root and the root's own
            children ("official"), which makes long chains long vectors.
    """
    n = len(child)
    root = torch.where(child, parent, torch.arange(n, device=child.device))  # (n,)
    for _ in range(frames.bit_length()):  # each turn doubles the way that is covered
        root = root[root]
    cols = partakes.nonzero().squeeze(1)  # (E,)
    size = root[cols].bincount(minlength=n)  # (n,)
    if mean == "official":
        size = 1 + parent[child].bincount(minlength=n)
    owners, order = root[cols].sort(stable=True)  # (E,)
    anchors, rows = torch.unique(owners, return_inverse=True)  # (K,), (E,)
    return TokenMap(n, anchors, rows, cols[order], 1 / size[owners].float())
