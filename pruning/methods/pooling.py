"""Average pooling: the same picture on a coarser grid, the baseline that looks at nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam
from pruning.ops.grid import coordinates, grid_of
from pruning.ops.join import beside
from pruning.ops.windows import middle, shares, windows_of
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Pooling(BeforeLLM):
    """Average every frame down to a coarser grid of nearly its own aspect.

    Paper      none, a baseline
    Code       none by the papers that report it; the windows are those of adaptive_avg_pool2d
    Where      before the LLM, after the projector, as LLaVA-NeXT pools; a token takes the place of
               the one nearest its window's centre
    Positions  PERC: to the LLM it is a smaller picture
    Differs    where no grid of nearly the frame's aspect has the asked count, some of its rows are
               one token shorter, so that every method spends the same; where one has, it is
               adaptive_avg_pool2d exactly
    """

    name = "pooling"
    title = "Average pooling"
    summary = "Averages neighbouring visual tokens down to a coarser grid."
    seam = Seam.PROJECTED
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        frames, height, width = grid_of(visual.layout, self.title)
        counts, device = shares(keep, frames), visual.features.device
        pooled = {count: coarser(count, height, width, device) for count in set(counts)}
        return beside([pooled[count] for count in counts])


def coarser(count: int, height: int, width: int, device: torch.device) -> TokenMap:
    """One frame averaged over `count` windows."""
    windows = windows_of(count, height, width).to(device)
    top, bottom, left, right = windows.T[:, :, None]  # each (K, 1)
    _, row, col = coordinates((1, height, width), device)  # each (rows · cols,)
    inside = (top <= row) & (row < bottom) & (left <= col) & (col < right)
    weights = inside / inside.sum(dim=1, keepdim=True)  # (K, rows · cols)
    return TokenMap.dense(weights, middle(windows, width))
