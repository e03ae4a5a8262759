"""Random selection, a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import BeforeLLM, knob
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Random(BeforeLLM):
    """Keep uniformly random visual tokens.

    Depends only on `seed` and the counts: pictures of equal size lose the same places.

    Paper      none, a baseline
    Code       none
    Where      before the LLM, on encoder tokens
    Positions  PESP
    Differs    none: there is no release
    """

    name = "random"
    title = "Random"
    summary = "Keeps random visual tokens: a baseline."

    seed: int = knob(0, 0, 9999, help="of the random choice")

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        draw = torch.Generator().manual_seed(self.seed)  # on the CPU: the same on every device
        kept = torch.randperm(len(visual), generator=draw)[:keep].sort().values  # (K,)
        return TokenMap.select(kept.to(visual.features.device), len(visual))
