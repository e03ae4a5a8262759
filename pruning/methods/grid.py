"""An even grid of tokens: selection that looks at nothing and leaves no part of a frame out."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import BeforeLLM
from pruning.ops.grid import grid_of
from pruning.ops.join import beside
from pruning.ops.windows import middle, shares, windows_of
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Grid(BeforeLLM):
    """Keep the token at the centre of each window that average pooling would average.

    Beside pooling it shows what averaging is worth, beside random what an even spread is worth.

    Paper      none, a baseline
    Code       none
    Where      before the LLM, on encoder tokens
    Positions  PESP
    Differs    there is no release to differ from
    """

    name = "grid"
    title = "Even grid"
    summary = "Keeps visual tokens at an even distance, whatever they show."
    needs_grid = True

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        frames, height, width = grid_of(visual.layout, self.title)
        return beside(
            [
                TokenMap.select(
                    middle(windows_of(count, height, width), width).to(visual.features.device),
                    height * width,
                )
                for count in shares(keep, frames)
            ]
        )
