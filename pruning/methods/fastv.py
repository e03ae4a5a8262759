"""FastV: drops the visual tokens that the last text token attends to least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, one_stage, scaled_layer
from pruning.ops.attention import received
from pruning.ops.select import best
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


@dataclass(frozen=True)
class FastV(CompressionMethod):
    """After a few layers, keep the visual tokens that the last token of the prompt attends to most.

    Paper      Chen et al., ECCV 2024, arXiv 2403.06764
    Code       pkunlp-icler/FastV @ d165972, modeling_llama.py, in-place variant
    Where      inside the LLM, by the attention of the layer before
    Positions  PESP; RPME in "fix", as proposed with Nüwa (arXiv 2602.02951)
    Differs    the pruning layer scales with the depth of the LLM, the count with N; tokens are
               chosen once, in prefill; the first release chose again for every decoded token
    """

    name = "fastv"
    title = "FastV"
    summary = "Drops, after two layers, the tokens that the last text token attends to least."
    paper = "https://arxiv.org/abs/2403.06764"
    code = "https://github.com/pkunlp-icler/FastV"
    PRESETS: ClassVar = {"default": {}, "fix": {"numbering": "rpme"}}

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    layer: int = knob(2, 1, 31, help="pruning layer, in a 32-layer LLM")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries="last", llm=frozenset({"attention"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return one_stage(target, scaled_layer(self.layer, num_layers))

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.attention is not None
        return best(received(view.attention), keep)
