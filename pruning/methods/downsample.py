"""Down-sampling, a baseline: the model looks at a smaller picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam
from pruning.ops.grid import blocks, grid_of, smaller
from pruning.ops.join import beside
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Downsample(BeforeLLM):
    """Resize the picture, or every frame of the clip, so that it has fewer patches.

    A survivor is a token of the smaller picture. It stands for the block of original places that it
    covers.

    Paper      Liao et al., ACL 2026, arXiv 2510.07143
    Code       Chenfei-Liao/VTC-Bench @ 983e443, external/DART, qwen2_vl.py, vision_process.py
    Where      before the LLM, on pixels, before the encoder
    Positions  PERC: those of the smaller picture. It lacks no token, so the other strategies give
               the same ids
    Differs    the ratio sets the size, not a whole divisor of the sides: the grid with the nearest
               count, a side of it within one token of the aspect ratio. The upload is resized once,
               straight to that grid, and not saved as JPEG in between; one token is the least. An
               encoder of one size interpolates its position embeddings, as transformers does. A
               picture cut into crops is refused
    """

    name = "downsample"
    title = "Down-sampling"
    summary = "Hands the model a smaller picture, or smaller frames: what every method must beat."
    paper = "https://arxiv.org/abs/2510.07143"
    code = "https://github.com/Chenfei-Liao/VTC-Bench"
    seam = Seam.PIXELS
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        grid, device = grid_of(visual.layout, self.title), visual.features.device
        frames, rows, cols = grid
        _, down, across = smaller(grid, keep)
        weights = torch.kron(blocks(rows, down, device), blocks(cols, across, device))
        row, col = (middles(*sides, device) for sides in ((rows, down), (cols, across)))
        anchors = (row[:, None] * cols + col).flatten()  # (down · across,)
        return beside([TokenMap.dense(weights, anchors)] * frames)


def middles(whole: int, parts: int, device: torch.device) -> torch.Tensor:
    """(parts,) int64 token at the middle of each of `parts` equal blocks of a side."""
    twice = 2 * torch.arange(parts, device=device) + 1
    return (twice * whole - 1).div(2 * parts, rounding_mode="floor")
