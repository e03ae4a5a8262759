"""Uniform frame dropping: fewer frames, each of them whole, the baseline of every video method."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam
from pruning.ops.grid import grid_of
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class Frames(BeforeLLM):
    """Keep frames at an even distance and drop all between them.

    Paper      none, a baseline
    Code       none
    Where      before the LLM, on projected tokens
    Positions  PERC: to the LLM it is a clip sampled at fewer frames
    Differs    where the budget is no whole number of frames, the last one kept is thinned evenly,
               so that every method spends the same
    """

    name = "frames"
    title = "Fewer frames"
    summary = "Keeps whole frames at an even distance and drops those between."
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        frames, rows, cols = grid_of(visual.layout, self.title)
        device, per_frame = visual.features.device, rows * cols
        count = -(-keep // per_frame)
        kept = spaced(count, frames, device)[:, None] * per_frame  # (count, 1)
        whole = kept[:-1] + torch.arange(per_frame, device=device)  # (count − 1, N)
        thinned = kept[-1] + spaced(keep - whole.numel(), per_frame, device)
        return TokenMap.select(torch.cat([whole.flatten(), thinned]), len(visual))


def spaced(count: int, length: int, device: torch.device) -> Tensor:
    """(count,) the middles of `count` equal parts of `length` things."""
    return (2 * torch.arange(count, device=device) + 1) * length // (2 * count)
