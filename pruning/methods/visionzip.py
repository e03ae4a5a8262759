"""VisionZip: keeps the tokens that [CLS] attends to; merges the rest into contextual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, knob
from pruning.ops.join import frame_by_frame
from pruning.ops.select import top
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

        def merge(frame: slice, count: int) -> TokenMap:
            cls = torch.inf if count > 1 else -torch.inf  # [CLS] is dominant, unless it is alone
            weighted = scores[frame].masked_fill(~placed[frame], cls)
            return self.merge(weighted, keys[frame], count)

        return frame_by_frame(visual.layout, keep, merge, scores)

    def merge(self, scores: Tensor, keys: Tensor, keep: int) -> TokenMap:
        """One frame: its dominant tokens, then its contextual ones."""
        num_contextual = int(self.contextual_share * keep)  # 10, 20, 30 of 64, 128, 192
        dominant = top(scores, keep - num_contextual)  # (D,)
        targets, members, owner = assign(keys, dominant, num_contextual)
        anchors = torch.cat([dominant, targets])  # (K,)
        matrix = torch.zeros(keep, len(scores), device=scores.device)  # (K, n)
        matrix[torch.arange(keep, device=scores.device), anchors] = 1
        # A contextual token is its target plus the mean of its members: nearly twice the norm.
        share = 1 / owner.bincount(minlength=num_contextual)  # (C,)
        matrix[len(dominant) + owner, members] = share[owner]
        is_contextual = torch.arange(keep, device=scores.device) >= len(dominant)  # (K,)
        tags = {"dominant": ~is_contextual, "contextual": is_contextual}
        return TokenMap.dense(matrix, anchors, tags=tags)


def assign(keys: Tensor, dominant: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Targets (C,) at an even stride, the other members (M,), and the target of each (M,)."""
    if count == 0:
        return dominant[:0], dominant[:0], dominant[:0]
    is_rest = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    is_rest[dominant] = False
    rest = is_rest.nonzero().squeeze(1)  # (N − D,)
    targets = rest[:: max(1, len(rest) // count)][:count]  # (C,)
    is_rest[targets] = False
    members = is_rest.nonzero().squeeze(1)  # (M,)
    return targets, members, cosine(keys[members], keys[targets]).argmax(dim=1)
