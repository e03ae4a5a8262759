"""FEATHER: attention that does not favour the end of the picture, and an even grid beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, scaled_layers, staged_by_share
from pruning.ops.attention import attend
from pruning.ops.grid import coordinates, grid_of, of_anchors
from pruning.ops.select import top
from pruning.token_map import TokenMap
from pruning.tokens import LayerView

LAYERS = {"published": (8, 16), "early": (2, 8)}  # of 32
SIDE = 27  # tokens of the grid that `stride` is named for


@dataclass(frozen=True)
class Feather(CompressionMethod):
    """Keep what the last token asks for regardless of place; at first an even grid as well.

    Queries meet keys before rotary embedding, which would favour what stands near the question.
    The grid covers what early attention misses; the second stage trusts attention alone.

    Paper      FEATHER the Throttle, ICCV 2025, arXiv 2412.13180
    Code       markendo/FEATHER @ c2a09b2, prismatic-vlms, llama2_models.py:FastVLlamaModel
    Where      inside the LLM, by queries and keys of the layer before
    Positions  PESP
    Differs    the share kept by attention follows from the ratio (0.3 as published); the union with
               the grid has an exact count; on a small grid, or for a small budget, the stride grows
               until the grid takes at most half; a clip has the grid in every frame. For ratios
               that the published layers cannot reach: preset "early"
    """

    name = "feather"
    title = "FEATHER"
    summary = "Drops twice by attention freed of position, at first beside an even grid."
    paper = "https://arxiv.org/abs/2412.13180"
    code = "https://github.com/markendo/FEATHER"
    needs_grid = True
    PRESETS: ClassVar = {"official": {}, "early": {"layers": "early"}}

    retention_ratio: float = knob(0.36, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    stride: int = knob(3, 1, SIDE, help=f"of the even grid, on a side of {SIDE} tokens")
    layers: str = knob("published", choices=tuple(LAYERS), help="8, 16 of 32, or 2, 8")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries="last", llm=frozenset({"queries", "keys"}), llm_rope=False)

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        layers = scaled_layers(LAYERS[self.layers], num_layers)

        def expected(share: float) -> tuple[float, float]:
            """Tokens by attention and those that the grid adds; then twice the same share."""
            union = num_tokens * (share + (1 - share) / self.stride**2)
            return union, union * share**2

        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return staged_by_share(target, layers, expected)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.queries is not None and view.keys is not None
        scale = view.keys.shape[-1] ** -0.5
        asked = attend(view.queries, view.keys, scale).mean(dim=(0, 1))  # (V,) over visual keys
        if view.stage:
            return TokenMap.select(top(asked, keep), len(view), scores=asked)
        grid = grid_of(view.layout, self.title)
        stride = max(1, round(self.stride * min(grid[1:]) / SIDE))
        even = of_anchors(even_grid(grid, stride, keep // 2, asked.device), view)  # (V,)
        kept = top(asked.masked_fill(even, torch.inf), keep)
        tags = {"grid": even[kept], "attended": ~even[kept]}
        return TokenMap.select(kept, len(view), scores=asked, tags=tags)


def even_grid(grid: tuple[int, int, int], stride: int, most: int, device: torch.device) -> Tensor:
    """(N,) bool: every `stride`-th row and column of each frame, or as many as `most` allows.

    Nobody where one token a frame would be too many.
    """
    frames, rows, cols = grid
    _, row, col = coordinates(grid, device)
    for wider in range(stride, max(rows, cols) + 1):
        if frames * -(-rows // wider) * -(-cols // wider) <= most:
            return (row % wider == 0) & (col % wider == 0)
    return torch.zeros_like(row, dtype=torch.bool)
