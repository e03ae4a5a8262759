"""Random selection: the baseline that any method must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import BeforeLLM, knob
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Random(BeforeLLM):
    """Keep visual tokens drawn without looking, each as likely as any other.

    The draw hangs on `seed` and the counts alone: all pictures of one size lose the same places.

    Paper      none, a baseline
    Code       none
    Where      before the LLM, on encoder tokens
    Positions  PESP
    Differs    there is no release to differ from
    """

    name = "random"
    title = "Random"
    summary = "Keeps visual tokens drawn at random: the baseline to beat."

    seed: int = knob(0, 0, 9999, help="which draw")

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        draw = torch.Generator().manual_seed(self.seed)  # on the CPU: one draw for every device
        kept = torch.randperm(len(visual), generator=draw)[:keep].sort().values  # (K,)
        return TokenMap.select(kept.to(visual.features.device), len(visual))
