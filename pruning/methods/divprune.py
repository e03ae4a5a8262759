"""DivPrune: keeps the subset of visual tokens whose closest pair is as far apart as possible."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam
from pruning.ops.diverse import diverse
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class DivPrune(BeforeLLM):
    """Choose tokens one by one, each the farthest from those chosen before, in cosine distance.

    The first is the token whose nearest other token is farthest. Attention and the question are not
    used.

    Paper      Alvar et al., CVPR 2025, arXiv 2503.02175, Algorithm 1
    Code       vbdi/divprune @ 799e2d9: its licence is not free, so it was neither read nor run
    Where      before the LLM, on projected tokens
    Positions  PERC, in raster order: the paper states neither
    Differs    the count follows from the ratio; the paper has one ratio for all models, 9.8 %. The
               frames of a clip are one set, as in the paper; so are the crops of a picture
    """

    name = "divprune"
    title = "DivPrune"
    summary = "Keeps the tokens that are least like each other, chosen farthest first."
    paper = "https://arxiv.org/abs/2503.02175"
    code = "https://github.com/vbdi/divprune"
    seam = Seam.PROJECTED
    published = Positions(before=PositionStrategy.PERC)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        even = torch.ones(1, len(visual), device=visual.features.device)
        (chosen,) = diverse(visual.features.float()[None], even, keep)  # (N,) bool
        return TokenMap.select(chosen.nonzero().squeeze(1), len(visual))
