"""SGL: a guide answers first; the model keeps the visual tokens that the guide looked at."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, layer_behind, one_stage
from pruning.ops.select import best
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


@dataclass(frozen=True)
class SGL(CompressionMethod):
    """After a few layers, keep the visual tokens that a guide attends to as it answers.

    All the guide's layers and heads count alike, and all its rows from the last visual one on:
    those of the question, and of every token of its own answer.

    Paper      Zhao et al., CVPR 2025, arXiv 2412.03324
    Code       NUS-HPC-AI-Lab/SGL @ 7e76fd2, internvl/model, modeling_internvl_chat.py
    Where      inside the LLM, by the attention of a guide that answered before it
    Positions  PESP
    Differs    the count scales with N; a model whose card names no guide guides itself, and its
               lane says so. A guide with another layout speaks for the tokens that lie under the
               centres of the large model's, where the release wants equal layouts. Its early exit,
               which takes a sure guide's answer for the large model's, is not built
    """

    name = "sgl"
    title = "SGL"
    summary = (
        "Keeps what a guide, a smaller model where the card names one, looked at as it answered."
    )
    paper = "https://arxiv.org/abs/2412.03324"
    code = "https://github.com/NUS-HPC-AI-Lab/SGL"

    retention_ratio: float = knob(0.5, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    depth_share: float = knob(0.3, 0.01, 0.99, help="of the LLM's layers, those before pruning")

    @property
    def needs(self) -> Needs:
        return Needs(llm=frozenset({"guidance"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return one_stage(target, layer_behind(self.depth_share, num_layers))

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.guidance is not None
        return best(view.guidance, keep)
