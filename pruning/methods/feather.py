"""FEATHER: attention without position bias, and an even grid in the first stage."""

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
SIDE = 27  # side of the grid to which `stride` refers


@dataclass(frozen=True)
class Feather(CompressionMethod):
    """Keep the tokens attended to by the last token, without rotary embedding; at first a grid too.

    Rotary embedding favours tokens near the question, so queries and keys are used without it. An
    even grid covers the tokens that early attention misses; the second stage uses attention only.

    Paper      FEATHER the Throttle, ICCV 2025, arXiv 2412.13180
    Code       markendo/FEATHER @ c2a09b2, prismatic-vlms, llama2_models.py:FastVLlamaModel
    Where      inside the LLM, by queries and keys of the layer before
    Positions  PESP
    Differs    the share kept by attention follows from the ratio (published: 0.3); the union with
               the grid has an exact count: the stride grows until the grid fits, where the release
               keeps more; every frame of a clip has a grid. Preset "early" reaches ratios that the
               published layers cannot, and its grid takes at most half
    """

    name = "feather"
    title = "FEATHER"
    summary = "Drops twice by attention without position bias; keeps an even grid at first."
    paper = "https://arxiv.org/abs/2412.13180"
    code = "https://github.com/markendo/FEATHER"
    needs_grid = True
    PRESETS: ClassVar = {"official": {}, "early": {"layers": "early", "grid_share": 0.5}}

    retention_ratio: float = knob(0.36, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    stride: int = knob(3, 1, SIDE, help=f"of the even grid, for a side of {SIDE} tokens")
    grid_share: float = knob(1.0, 0.0, 1.0, help="largest share of the grid in the first stage")
    layers: str = knob("published", choices=tuple(LAYERS), help="of 32: 8, 16 or 2, 8")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries="last", llm=frozenset({"queries", "keys"}), llm_rope=False)

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        layers = scaled_layers(LAYERS[self.layers], num_layers)

        def expected(share: float) -> tuple[float, float]:
            """Counts of both stages: attention and the grid, then `share` of `share` of them."""
            union = num_tokens * (share + (1 - share) / self.stride**2)
            return union, union * share**2

        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return staged_by_share(target, layers, expected)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.queries is not None and view.keys is not None
        scale = view.keys.shape[-1] ** -0.5
        scores = attend(view.queries, view.keys, scale).mean(dim=(0, 1))  # (V,) over visual keys
        if view.stage:
            return TokenMap.select(top(scores, keep), len(view), scores=scores)
        grid = grid_of(view.layout, self.title)
        stride = max(1, round(self.stride * min(grid[1:]) / SIDE))
        most = int(self.grid_share * keep)
        even = of_anchors(even_grid(grid, stride, most, scores.device), view)  # (V,)
        kept = top(scores.masked_fill(even, torch.inf), keep)
        tags = {"grid": even[kept], "attended": ~even[kept]}
        return TokenMap.select(kept, len(view), scores=scores, tags=tags)


def even_grid(grid: tuple[int, int, int], stride: int, most: int, device: torch.device) -> Tensor:
    """(N,) bool: every `stride`-th row and column of each frame, or a wider stride for `most`.

    Empty if one token for each frame exceeds `most`.
    """
    frames, rows, cols = grid
    _, row, col = coordinates(grid, device)
    for wider in range(stride, max(rows, cols) + 1):
        if frames * -(-rows // wider) * -(-cols // wider) <= most:
            return (row % wider == 0) & (col % wider == 0)
    return torch.zeros_like(row, dtype=torch.bool)
