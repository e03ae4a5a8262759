"""Temporal merging at fixed places: a baseline for trees over time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam, knob
from pruning.ops.apportion import apportion
from pruning.ops.cluster import condense
from pruning.ops.grid import grid_of
from pruning.ops.precision import widest
from pruning.ops.tree import limit_all_children, link_in_place, trees
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class TTM(BeforeLLM):
    """Merge each token into the one at the same place of the frame before, if they are similar.

    Paper      the ablation of FlashVID, arXiv 2602.08024, which gives neither formula nor code
    Code       none
    Where      before the LLM, on projected tokens
    Positions  PERC, as FlashVID
    Differs    implemented as FlashVID's TSTM with the parent at the same place, on all tokens and
               without segments: same threshold, means over chains, clustered roots in each frame
    """

    name = "ttm"
    title = "TTM"
    summary = "Merges tokens that stay similar at the same place from frame to frame."
    paper = "https://arxiv.org/abs/2602.08024"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    merge_threshold: float = knob(0.8, -1.0, 1.0, help="cosine above which tokens merge")

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        n, device = len(visual), visual.features.device
        if keep >= n:
            return TokenMap.identity(n, device)
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, n // frames, -1)  # (T, N, D)
        similarity, parent = link_in_place(tokens)  # (n,)
        child = similarity > self.merge_threshold  # (n,)
        child = limit_all_children(child, similarity, n - keep)
        forest = trees(child, parent, torch.ones_like(child), frames, mean="paper")
        roots = (~child).view(frames, -1).sum(dim=1)  # (T,)
        counts = apportion(keep * widest(roots) / roots.sum(), roots, keep)  # (T,)
        return condense(forest, tokens, counts, keep)
