"""PruMerge and PruMerge+: merge similar tokens into attended ones, the rest into one more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, knob
from pruning.ops.join import frame_by_frame
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

SPREAD = 1.5  # outliers lie so many interquartile ranges above the third quartile


@dataclass(frozen=True)
class PruMerge(BeforeLLM):
    """Keep the most attended tokens, add similar ones to each, merge the rest into an extra token.

    The extra token comes last and is placeless. In a clip, each frame is compressed alone, with its
    share of the budget; a frame with a budget of one keeps the extra token.

    Paper      Shang et al., ICCV 2025, arXiv 2403.15388
    Code       42Shawn/LLaVA-PruMerge @ 097c041, multimodal_encoder/clip_encoder.py
    Where      before the LLM, on encoder tokens, by the last layer's queries and keys as one head
    Positions  PERC, in the order of attention
    Differs    the ratio sets the count, as in the non-adaptive mode of the release; the number of
               outliers in a picture would meet no budget. Without [CLS], received attention is the
               score. As in the release, similar tokens, also kept ones, are added with their
               attention as weights, not normalised
    """

    name = "prumerge"
    title = "PruMerge"
    summary = "Keeps the most attended tokens and merges others into them; the rest into one more."
    paper = "https://arxiv.org/abs/2403.15388"
    code = "https://github.com/42Shawn/LLaVA-PruMerge"
    published = Positions(before=PositionStrategy.PERC)

    neighbours: int = knob(32, 1, 256, help="similar tokens merged into each kept one")

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"last_attention", "last_keys"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.last_attention is not None and visual.last_keys is not None
        attention, keys = visual.last_attention.float(), visual.last_keys
        if keep >= len(visual):
            return TokenMap.identity(len(visual), attention.device)
        *_, cols = visual.layout.grid or (1, len(visual))

        def merge(frame: slice, count: int) -> TokenMap:
            own = attention[frame]  # (n,)
            if count in (0, len(own)):
                return TokenMap.select(torch.arange(count, device=own.device), len(own))
            return absorb(self.choose(own, count - 1, cols), own, keys[frame], self.neighbours)

        return frame_by_frame(visual.layout, keep, merge, attention)

    def choose(self, attention: Tensor, count: int, cols: int) -> Tensor:
        """Indices (k,) of the `count` tokens to keep of a frame of `cols` columns, in order."""
        return attention.argsort(descending=True, stable=True)[:count]


@dataclass(frozen=True)
class PruMergePlus(PruMerge):
    """PruMerge that keeps only outliers of attention, and a uniform grid of other tokens.

    Paper      Shang et al., ICCV 2025, arXiv 2403.15388
    Code       42Shawn/LLaVA-PruMerge @ 097c041, multimodal_encoder/clip_encoder.py
    Where      as PruMerge
    Positions  PERC, outliers in the order of attention, then the grid in raster order
    Differs    as PruMerge; the budget without the outliers sets the stride of the grid; the release
               adds about three tokens for each outlier. For the count of the release it keeps the
               same tokens, unless the stride of the release is a multiple of the row
    """

    name = "prumerge-plus"
    title = "PruMerge+"
    summary = "PruMerge that keeps outliers of attention and a uniform grid."

    def choose(self, attention: Tensor, count: int, cols: int) -> Tensor:
        outliers = super().choose(attention, min(count, count_outliers(attention)), cols)
        free = torch.ones_like(attention, dtype=torch.bool).index_fill(0, outliers, False)
        return torch.cat([outliers, uniform(free, count - len(outliers), cols)])


def count_outliers(attention: Tensor) -> int:
    """The number of outliers: values far above the third quartile."""
    low, high = attention.quantile(attention.new_tensor([0.25, 0.75]))
    return int((attention > high + SPREAD * (high - low)).sum())


def uniform(free: Tensor, count: int, cols: int) -> Tensor:
    """Indices (k,), ascending, of `count` free tokens (n,) bool at the widest possible stride.

    Skips strides of whole rows, which stay in one column. The last token is on no grid, as in the
    release.
    """
    grid = free[:0].nonzero()  # (g, 1)
    stride = (len(free) - 2) // max(count - 1, 1)  # the widest stride if all are free
    while len(grid) < count:
        if stride % cols or cols == 1:
            grid = free[:-1:stride].nonzero() * stride
        stride -= 1
    spread = torch.arange(count, device=free.device) * len(grid) // max(count, 1)
    return grid[spread, 0]


def absorb(kept: Tensor, attention: Tensor, keys: Tensor, neighbours: int) -> TokenMap:
    """Add to each kept token (k,) the most similar others; merge all tokens not kept into one more.

    Args:
        kept: indices of at most n − 1 tokens.
        attention: (n,), the weights.
        keys: (n, Dk), compared by cosine.
        neighbours: number of others added to each.
    """
    n, device = len(attention), attention.device
    row = torch.arange(len(kept), device=device)  # (k,)
    similarity = cosine(keys[kept], keys)  # (k, n)
    similarity[row, kept] = -torch.inf  # excludes itself
    order = similarity.argsort(dim=1, descending=True, stable=True)  # (k, n)
    nearest = order[:, : min(neighbours, n - 1)]
    matrix = torch.zeros(len(kept) + 1, n, device=device)  # (k + 1, n)
    matrix[row[:, None], nearest] = attention[nearest]
    matrix[row, kept] = 1
    matrix[-1] = attention.index_fill(0, kept, 0)
    return TokenMap.dense(matrix, torch.cat([kept, kept.new_tensor([-1])]))
