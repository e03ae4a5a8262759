"""FasterVLM: keeps the visual tokens that [CLS] attends to."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy
from pruning.ops.join import frames_at_once
from pruning.ops.select import top
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class FasterVLM(BeforeLLM):
    """Keep the visual tokens that [CLS] attends to most, in their order, and drop the others.

    In a clip, each frame is compressed alone, with its share of the budget.

    Paper      Zhang et al., 2024, arXiv 2412.01818, first version
    Code       Theia-4869/FasterVLM @ f5d5f12, llava/model/llava_arch.py
    Where      before the LLM, on encoder tokens, by the encoder's attention
    Positions  PERC, in raster order
    Differs    without [CLS], received attention is the score. The released branch for clips was not
               followed: here as others apply it, frame by frame, on pooled tokens
    """

    name = "fastervlm"
    title = "FasterVLM"
    summary = "Keeps the tokens that [CLS] attends to, and nothing of the others."
    paper = "https://arxiv.org/abs/2412.01818"
    code = "https://github.com/Theia-4869/FasterVLM"
    published = Positions(before=PositionStrategy.PERC)

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"attention"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None
        scores = visual.attention.float()  # (N,)

        return frames_at_once(visual.layout, keep, pick, scores, scores=scores)


def pick(scores: Tensor, count: int) -> TokenMap:
    """One frame: its `count` best tokens."""
    return TokenMap.select(top(scores, count), len(scores))
