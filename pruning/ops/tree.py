"""Trees of tokens over time: the parent of a token is a token of the frame before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from pruning.ops.select import marked, rank_each, rank_within
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap

UNLIKE = -1.0  # the similarity of a token without a parent


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees of tokens: each is merged into its root, the earliest of its tokens.

    Its size is the same for any number of trees, so the host does not wait for that number.
    """

    root: Tensor  # (n,) int64 root of the tree of each token; −1 = in no tree
    weights: Tensor  # (n,) float32 of each token in its root

    @classmethod
    def alone(cls, members: Tensor) -> Forest:
        """Each of the tokens `members` (n,) bool is a tree."""
        index = torch.arange(len(members), device=members.device)
        return cls(torch.where(members, index, -1), torch.ones_like(index, dtype=torch.float32))

    @property
    def is_root(self) -> Tensor:
        """(n,) bool."""
        return self.root == torch.arange(len(self.root), device=self.root.device)

    def token_map(self, count: int) -> TokenMap:
        """The map to the `count` roots, in their order."""
        roots = marked(self.is_root, count)  # (K,)
        owner = torch.searchsorted(roots, self.root).masked_fill(self.root < 0, -1)  # (n,)
        return TokenMap.merge(roots, owner, self.weights)


def link_anywhere(tokens: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """The most similar free token of the frame before: cosine and index, both (n,).

    Args:
        tokens: (T, N, D).
        free: (T, N) bool: the tokens that may be linked.
    """
    cosines = cosine(tokens[1:], tokens[:-1])  # (T − 1, N, N)
    similarity, nearest = cosines.masked_fill(~free[:-1, None], UNLIKE).max(dim=2)
    similarity = pad(similarity, (0, 0, 1, 0), value=UNLIKE).masked_fill(~free, UNLIKE)
    frame = torch.arange(len(tokens), device=tokens.device)[:, None]  # (T, 1)
    parent = (frame - 1).clamp_min(0) * tokens.shape[1] + pad(nearest, (0, 0, 1, 0))
    return similarity.flatten(), parent.flatten()


def link_in_place(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The token at the same place of the frame before: cosine and index, both (n,)."""
    cosines = cosine_similarity(tokens[1:].float(), tokens[:-1].float(), dim=-1)  # (T − 1, N)
    similarity = pad(cosines, (0, 0, 1, 0), value=UNLIKE).flatten()
    index = torch.arange(len(similarity), device=tokens.device)
    return similarity, (index - tokens.shape[1]).clamp_min(0)


def limit_children(child: Tensor, similarity: Tensor, groups: Tensor, most: Tensor) -> Tensor:
    """(n,) bool: the `most` (G,) children of each group that are most similar to their parents."""
    rank = rank_within(groups, similarity.masked_fill(~child, -torch.inf))  # (n,)
    return child & (rank < most[groups])


def limit_all_children(child: Tensor, similarity: Tensor, most: int) -> Tensor:
    """(n,) bool: the `most` children that are most similar to their parents."""
    return child & (rank_each(similarity.masked_fill(~child, -torch.inf)) < most)


def trees(child: Tensor, parent: Tensor, members: Tensor, frames: int, mean: str) -> Forest:
    """The trees that links make.

    Args:
        child: (n,) bool: the tokens linked to their parents; all of them are `members`.
        parent: (n,) int64.
        members: (n,) bool: the tokens in any tree.
        frames: T, the longest path.
        mean: divides the sum of a tree by the count of its tokens ("paper"), or by one plus the
            count of the root's own children ("official"), which makes long chains long vectors.
    """
    root = torch.where(child, parent, torch.arange(len(child), device=child.device))  # (n,)
    for _ in range(frames.bit_length()):  # each turn doubles the length of the path
        root = root[root]
    none = torch.zeros_like(root)
    if mean == "official":
        size = 1 + none.index_add(0, parent, child.long())  # (n,)
    else:
        size = none.index_add(0, root, members.long())  # (n,)
    return Forest(torch.where(members, root, -1), 1 / size[root].float())


def fold_static(static: Tensor, likeness: Tensor, segment: Tensor, keep: int) -> Forest:
    """Merge static places of a segment into its first frame, until `keep` tokens of all remain.

    Args:
        static: (T, N) bool.
        likeness: (T, N); the tokens least alike stay alone where too few would remain.
        segment: (T,) int64 segment of each frame, ascending from 0.
        keep: smallest number of tokens that remain, merged or not.
    """
    frames, places = static.shape
    first = torch.searchsorted(segment, segment)[:, None]  # (T, 1) of each frame's segment
    frame = torch.arange(frames, device=static.device)[:, None]  # (T, 1)
    parent = first * places + torch.arange(places, device=static.device)  # (T, N)
    child = (static & (frame > first)).flatten()  # (n,)
    child = limit_all_children(child, likeness.flatten(), len(child) - keep)
    averaged = child | (static & (frame == first)).flatten()  # (n,)
    return trees(child, parent.flatten(), averaged, frames, mean="paper")
