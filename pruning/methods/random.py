"""Random selection: the baseline that any method must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pruning.base import CompressionMethod, knob
from pruning.budget import Budget, before_llm
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Random(CompressionMethod):
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

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="share of visual tokens kept")
    seed: int = knob(0, 0, 9999, help="which draw")

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        return before_llm(self.title, num_tokens, self.retention_ratio)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        draw = torch.Generator().manual_seed(self.seed)  # on the CPU: one draw for every device
        kept = torch.randperm(len(visual), generator=draw)[:keep].sort().values  # (K,)
        return TokenMap.select(kept.to(visual.features.device), len(visual))
