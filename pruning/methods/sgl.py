"""SGL: keeps the visual tokens that a guide model attended to as it answered."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, layer_behind, one_stage
from pruning.ops.select import best
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


@dataclass(frozen=True)
class SGL(CompressionMethod):
    """After a few layers, keep the visual tokens that a guide model attends to as it answers.

    Attention is averaged over all layers and heads of the guide, and over its rows after the
    picture: those of the question and of its own answer.

    Paper      Zhao et al., CVPR 2025, arXiv 2412.03324
    Code       NUS-HPC-AI-Lab/SGL @ 7e76fd2, internvl/model, modeling_internvl_chat.py
    Where      inside the LLM, by the attention of a guide that answers first
    Positions  PESP
    Differs    the count scales with N. A model whose card names no guide is its own guide; its lane
               notes this. The release requires equal layouts; here, a token takes the attention of
               the guide's tokens at its centre. The early exit, which returns a confident answer of
               the guide, is not implemented
    """

    name = "sgl"
    title = "SGL"
    summary = "Keeps the tokens that a guide, often a smaller model, attended to as it answered."
    paper = "https://arxiv.org/abs/2412.03324"
    code = "https://github.com/NUS-HPC-AI-Lab/SGL"

    retention_ratio: float = knob(0.5, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    depth_share: float = knob(0.3, 0.01, 0.99, help="share of the LLM's layers before pruning")

    @property
    def needs(self) -> Needs:
        return Needs(llm=frozenset({"guidance"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return one_stage(target, layer_behind(self.depth_share, num_layers))

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.guidance is not None
        return best(view.guidance, keep)
