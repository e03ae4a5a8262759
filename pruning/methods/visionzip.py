"""VisionZip: keeps the tokens that [CLS] attends to; merges the rest into contextual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, knob
from pruning.ops.join import frames_at_once
from pruning.ops.select import remaining, top
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class VisionZip(BeforeLLM):
    """Keep the dominant tokens that [CLS] attends to; merge the rest into a few contextual ones.

    In a clip, each frame is compressed alone, with its share of the budget.

    Paper      Yang et al., CVPR 2025, arXiv 2412.04467
    Code       dvlab-research/VisionZip @ 3151f6d, visionzip/clip_encoder.py
    Where      before the LLM, on encoder tokens; [CLS], if any, is dominant itself
    Positions  PERC; in preset "fix", which is VisionZip-fix of Nüwa's paper (2602.02951), RPME
    Differs    counts scale with N instead of being fixed for 576; without [CLS], received attention
               is the score. [CLS] is not kept at ratio 1 or if only one token stays. On video,
               as others apply it: frame by frame, on pooled tokens
    """

    name = "visionzip"
    title = "VisionZip"
    summary = "Keeps the tokens that [CLS] attends to; merges the rest into a few contextual ones."
    paper = "https://arxiv.org/abs/2412.04467"
    code = "https://github.com/dvlab-research/VisionZip"
    published = Positions(before=PositionStrategy.PERC)
    PRESETS: ClassVar = {"default": {}, "fix": {"numbering": "rpme"}}

    contextual_share: float = knob(0.16, 0.0, 0.5, help="share of contextual survivors")

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"cls", "attention", "keys"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None and visual.keys is not None
        scores = visual.attention.float()  # (N,)
        placed = torch.from_numpy(visual.layout.placed).to(scores.device)  # (N,) bool
        if keep >= visual.layout.num_placed:
            return TokenMap.select(placed.nonzero().squeeze(1), len(visual), scores=scores)
        keys = visual.keys.float().view(len(visual), visual.key_heads, -1).mean(dim=1)  # (N, d)

        return frames_at_once(visual.layout, keep, self.merge, scores, placed, keys, scores=scores)

    def merge(self, scores: Tensor, placed: Tensor, keys: Tensor, count: int) -> TokenMap:
        """One frame: its dominant tokens, then its contextual ones."""
        cls = torch.inf if count > 1 else -torch.inf  # [CLS] is dominant, unless it is alone
        num_contextual = int(self.contextual_share * count)  # 10, 20, 30 of 64, 128, 192
        dominant = top(scores.masked_fill(~placed, cls), count - num_contextual)  # (D,)
        row = torch.arange(count, device=scores.device)  # (K,)
        tags = {"dominant": row < len(dominant), "contextual": row >= len(dominant)}
        if not num_contextual:
            return TokenMap.select(dominant, len(scores), tags=tags)
        targets, members, target = assign(keys, dominant, num_contextual)
        anchors = torch.cat([dominant, targets])  # (K,)
        # A contextual token is its target plus the mean of its members: nearly twice the norm.
        size = torch.zeros_like(targets).index_add(0, target, torch.ones_like(target))  # (C,)
        order = torch.cat([anchors, members]).argsort()  # (n,)
        owner = torch.cat([row, len(dominant) + target])[order]  # (n,)
        weights = torch.cat([torch.ones_like(row), 1 / size[target]])[order]
        return TokenMap.merge(anchors, owner, weights, tags=tags)


def assign(keys: Tensor, dominant: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Targets (C,) at an even stride, the other members (M,), and the target of each (M,)."""
    rest = remaining(dominant, len(keys))  # (N − D,)
    targets = rest[:: max(1, len(rest) // count)][:count]  # (C,)
    members = remaining(torch.cat([dominant, targets]), len(keys))  # (M,)
    return targets, members, cosine(keys[members], keys[targets]).argmax(dim=1)
