"""PyramidDrop: drops a constant share of the visual tokens at each of three layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pruning.base import CompressionMethod, Needs, Positions, PositionStrategy, knob
from pruning.budget import Budget, Target, scaled_layers, staged_by_share
from pruning.ops.attention import received
from pruning.ops.select import best
from pruning.token_map import TokenMap
from pruning.tokens import LayerView

LAYERS = {"published": (8, 16, 24), "early": (2, 8, 16)}  # of 32


@dataclass(frozen=True)
class PyramidDrop(CompressionMethod):
    """Keep, in three stages, the tokens that the last token will attend to; the share is constant.

    Paper      PyramidDrop, CVPR 2025, arXiv 2410.17247
    Code       Cooperx521/PyramidDrop @ 6444f30, modeling_llama_pdrop.py
    Where      inside the LLM, by the attention of the next layer, computed in advance
    Positions  PERC
    Differs    the share of each stage follows from the ratio (published: a half, which is 47 % on
               average); counts are rounded, not truncated; layers scale with the depth of the LLM.
               Preset "early" has the layers that the author uses for lower ratios
    """

    name = "pyramiddrop"
    title = "PyramidDrop"
    summary = "Drops a share of the tokens at each of three layers, by the last text token."
    paper = "https://arxiv.org/abs/2410.17247"
    code = "https://github.com/Cooperx521/PyramidDrop"
    published = Positions(inner=PositionStrategy.PERC)
    PRESETS: ClassVar = {"official": {}, "early": {"layers": "early"}}

    retention_ratio: float = knob(0.47, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    layers: str = knob("published", choices=tuple(LAYERS), help="of 32: 8, 16, 24 or 2, 8, 16")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries="last", llm=frozenset({"ahead"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        layers = scaled_layers(LAYERS[self.layers], num_layers)

        def pyramid(share: float) -> list[float]:
            return [num_tokens * share**stage for stage in range(1, len(layers) + 1)]

        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return staged_by_share(target, layers, pyramid)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.ahead is not None
        return best(received(view.ahead), keep)
