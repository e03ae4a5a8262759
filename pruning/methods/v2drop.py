"""V2Drop: drops the visual tokens that a layer of the LLM hardly changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, scaled_layers, staged
from pruning.ops.select import best
from pruning.ops.similarity import norm
from pruning.token_map import TokenMap
from pruning.tokens import LayerView

# Depth of the LLM, pruning layers, and how many of 576 tokens are left from each on.
RELEASED = {
    "llava": (32, (3, 17, 22), (288, 144, 1)),
    "qwen2-vl": (28, (3, 16, 22), (144, 7, 1)),
}


@dataclass(frozen=True)
class V2Drop(CompressionMethod):
    """Keep, in three stages, the visual tokens that the layer before changed most.

    The change is the Euclidean distance of a token's hidden states before and after the layer.
    Visual tokens do not attend to the text after them, so the question has no influence.

    Paper      Chen et al., CVPR 2026, arXiv 2509.01552
    Code       xuyang-liu16/V2Drop @ 219e03e, llava/model/language_model/V2Drop.py
    Where      inside the LLM, by hidden states around the layer before
    Positions  PESP
    Differs    counts keep the released proportions but follow from the ratio; the release has one
               setting, which keeps 1 token after the last stage. Layers scale with the depth of the
               LLM. "qwen2-vl" has the layers and shares released for Qwen2-VL
    """

    name = "v2drop"
    title = "V²Drop"
    summary = "Drops, in three stages, the tokens that a layer of the LLM hardly changes."
    paper = "https://arxiv.org/abs/2509.01552"
    code = "https://github.com/xuyang-liu16/V2Drop"
    PRESETS: ClassVar = {"llava": {}, "qwen2-vl": {"stages": "qwen2-vl"}}

    retention_ratio: float = knob(0.35, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    stages: str = knob("llava", choices=tuple(RELEASED), help="layers and counts, as released for")

    @property
    def needs(self) -> Needs:
        return Needs(llm=frozenset({"hidden", "previous"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        depth, layers, counts = RELEASED[self.stages]
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return staged(target, scaled_layers(layers, num_layers, depth), counts)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.hidden is not None and view.previous is not None
        return best(norm(view.hidden.float() - view.previous.float()), keep)
