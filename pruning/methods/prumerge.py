"""PruMerge and PruMerge+: attended tokens take their likes in; one more token takes the rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, knob
from pruning.ops.join import frame_by_frame
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

SPREAD = 1.5  # times the middle half of all values: what lies so far above it is an outlier


@dataclass(frozen=True)
class PruMerge(BeforeLLM):
    """Keep the most attended tokens; each takes in its likes, and an extra token all not kept.

    The extra token comes last and has no place. In a clip each frame does so by itself, with its
    share of the budget; a frame with one token left gives the extra one.

    Paper      Shang et al., ICCV 2025, arXiv 2403.15388
    Code       42Shawn/LLaVA-PruMerge @ 097c041, multimodal_encoder/clip_encoder.py
    Where      before the LLM, on encoder tokens, by the last layer's queries and keys as one head
    Positions  PERC, in the order of attention
    Differs    the ratio sets the count, as in the release's non-adaptive mode, not the number of
               outliers in a picture: no budget could be met by that. An encoder without [CLS] is
               scored by received attention. As in the release, a kept token adds what it takes in
               to itself, other kept tokens too, weighed by attention and not normalised
    """

    name = "prumerge"
    title = "PruMerge"
    summary = "Keeps the most attended patches; each takes in its likes, one extra token the rest."
    paper = "https://arxiv.org/abs/2403.15388"
    code = "https://github.com/42Shawn/LLaVA-PruMerge"
    published = Positions(before=PositionStrategy.PERC)

    neighbours: int = knob(32, 1, 256, help="likest tokens that a kept one takes in")

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
        """`count` tokens (k,) of one frame of so many columns, in the order in which they come."""
        return attention.argsort(descending=True, stable=True)[:count]


@dataclass(frozen=True)
class PruMergePlus(PruMerge):
    """PruMerge that keeps outliers of attention only, and a uniform grid beside them.

    Paper      Shang et al., ICCV 2025, arXiv 2403.15388
    Code       42Shawn/LLaVA-PruMerge @ 097c041, multimodal_encoder/clip_encoder.py
    Where      as PruMerge
    Positions  PERC, outliers in the order of attention, then the grid in raster order
    Differs    as PruMerge; what outliers leave of the budget sets the stride of the grid, where the
               release lays about three tokens for each outlier. Asked for the release's count, it
               keeps the release's tokens, but where their stride would be whole rows
    """

    name = "prumerge-plus"
    title = "PruMerge+"
    summary = "PruMerge that keeps the outliers of attention, and a uniform grid beside them."

    def choose(self, attention: Tensor, count: int, cols: int) -> Tensor:
        outliers = super().choose(attention, min(count, count_outliers(attention)), cols)
        free = torch.ones_like(attention, dtype=torch.bool).index_fill(0, outliers, False)
        return torch.cat([outliers, uniform(free, count - len(outliers), cols)])


def count_outliers(attention: Tensor) -> int:
    """How many values lie above the third quartile by more than is usual."""
    low, high = attention.quantile(attention.new_tensor([0.25, 0.75]))
    return int((attention > high + SPREAD * (high - low)).sum())


def uniform(free: Tensor, count: int, cols: int) -> Tensor:
    """`count` (k,) of the free tokens (n,) bool, ascending, at the widest stride that has so many.

    A stride of whole rows is passed over: it would stay in the first of the columns. The last token
    is on no grid, as in the release.
    """
    grid = free[:0].nonzero()  # (g, 1)
    stride = (len(free) - 2) // max(count - 1, 1)  # no wider one has so many, were all free
    while len(grid) < count:
        if stride % cols or cols == 1:
            grid = free[:-1:stride].nonzero() * stride
        stride -= 1
    spread = torch.arange(count, device=free.device) * len(grid) // max(count, 1)
    return grid[spread, 0]


def absorb(kept: Tensor, attention: Tensor, keys: Tensor, neighbours: int) -> TokenMap:
    """Each kept token (k,) with the likest others, weighed by attention; all not kept in one more.

    Args:
        kept: at most all but one of the n tokens.
        attention: (n,).
        keys: (n, Dk).
        neighbours: how many others each takes in.
    """
    n, device = len(attention), attention.device
    row = torch.arange(len(kept), device=device)  # (k,)
    alike = cosine(keys[kept], keys)  # (k, n)
    alike[row, kept] = -torch.inf  # itself is no other
    likest = alike.argsort(dim=1, descending=True, stable=True)[:, : min(neighbours, n - 1)]
    matrix = torch.zeros(len(kept) + 1, n, device=device)  # (k + 1, n)
    matrix[row[:, None], likest] = attention[likest]
    matrix[row, kept] = 1
    matrix[-1] = attention.index_fill(0, kept, 0)
    return TokenMap.dense(matrix, torch.cat([kept, kept.new_tensor([-1])]))
