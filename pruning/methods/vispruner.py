"""VisPruner: keeps the tokens that [CLS] attends to, and others that are unlike each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, knob
from pruning.ops.join import frames_at_once
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class VisPruner(BeforeLLM):
    """Keep the tokens that [CLS] attends to; thin out the rest by dropping near-duplicates.

    In a clip, each frame is compressed alone, with its share of the budget.

    Paper      Zhang et al., ICCV 2025, arXiv 2412.01818, second version
    Code       Theia-4869/VisPruner @ aefa01a, llava/model/llava_arch.py
    Where      before the LLM, on encoder tokens, by the encoder's attention
    Positions  PERC, in raster order
    Differs    of an odd number of tokens, the larger half may lose some, and a round drops at most
               that half; the release fails on both. Without [CLS], received attention is the score.
               On video, as others apply it: frame by frame, on pooled tokens
    """

    name = "vispruner"
    title = "VisPruner"
    summary = "Keeps the tokens that [CLS] attends to, and others that are not near-duplicates."
    paper = "https://arxiv.org/abs/2412.01818"
    code = "https://github.com/Theia-4869/VisPruner"
    published = Positions(before=PositionStrategy.PERC)

    important_share: float = knob(0.5, 0.0, 1.0, help="share of survivors chosen by attention")
    per_round: int = knob(8, 1, 64, help="near-duplicates that a round drops, at most")

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"attention"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None
        scores = visual.attention.float()  # (N,)
        return frames_at_once(
            visual.layout, keep, self.pick, visual.features, scores, scores=scores
        )

    def pick(self, features: Tensor, scores: Tensor, count: int) -> TokenMap:
        """One frame: its important tokens and its diverse ones, in raster order."""
        order = scores.argsort(descending=True, stable=True)  # (n,)
        first = int(self.important_share * count)
        important, rest = order[:first], order[first:]
        diverse = thinned(features, rest, count - first, self.per_round)
        kept, index = torch.cat([important, diverse]).sort()  # (count,)
        tags = {"important": index < first, "diverse": index >= first}
        return TokenMap.select(kept, len(scores), tags=tags)


def thinned(features: Tensor, rest: Tensor, keep: int, per_round: int) -> Tensor:
    """`keep` of the tokens `rest` (R,), in the order that the last round leaves.

    A round compares every second token with the others. It drops those most similar to any of them;
    what is left of the half comes first in the next round, the most similar first.
    """
    while len(rest) > keep > 0:
        half, others = rest[::2], rest[1::2]
        similarity = cosine(features[half], features[others]).amax(dim=1)  # (H,)
        ranked = similarity.argsort(descending=True, stable=True)
        dropped = min(per_round, len(rest) - keep)
        rest = torch.cat([half[ranked[dropped:]], others])
    return rest[:keep]
