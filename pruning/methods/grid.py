"""An even grid, a baseline: selection without signals that covers the whole frame."""

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
    """Keep the token at the centre of each window of average pooling.

    Compared with pooling it shows the effect of averaging; with random, that of even spacing.

    Paper      none, a baseline
    Code       none
    Where      before the LLM, on encoder tokens
    Positions  PESP
    Differs    none: there is no release
    """

    name = "grid"
    title = "Even grid"
    summary = "Keeps evenly spaced visual tokens, whatever they show."
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
