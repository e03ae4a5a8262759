"""Average pooling, a baseline: the picture on a coarser grid."""

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
    """Average every frame to a coarser grid of nearly the same aspect ratio.

    Paper      none, a baseline
    Code       none by the papers that report it; the windows are those of adaptive_avg_pool2d
    Where      before the LLM, after the projector, as in LLaVA-NeXT; a pooled token takes the
               place nearest to the centre of its window
    Positions  PERC: the LLM receives a smaller picture
    Differs    if no grid of nearly the same aspect ratio has the count, some rows are one token
               shorter, so that all methods use the same count; otherwise the result equals
               adaptive_avg_pool2d
    """

    name = "pooling"
    title = "Average pooling"
    summary = "Averages neighbouring visual tokens to a coarser grid."
    seam = Seam.PROJECTED
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        frames, height, width = grid_of(visual.layout, self.title)
        counts, device = shares(keep, frames), visual.features.device
        pooled = {count: coarser(count, height, width, device) for count in set(counts)}
        return beside([pooled[count] for count in counts])


def coarser(count: int, height: int, width: int, device: torch.device) -> TokenMap:
    """The map of one frame to the means of `count` windows."""
    windows = windows_of(count, height, width).to(device)
    top, bottom, left, right = windows.T[:, :, None]  # each (K, 1)
    _, row, col = coordinates((1, height, width), device)  # each (rows · cols,)
    inside = (top <= row) & (row < bottom) & (left <= col) & (col < right)
    weights = inside / inside.sum(dim=1, keepdim=True)  # (K, rows · cols)
    return TokenMap.dense(weights, middle(windows, width))
