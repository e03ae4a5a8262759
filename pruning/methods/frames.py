"""Uniform frame sampling, a baseline for video: fewer frames, each of them whole."""

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
    """Keep evenly spaced frames and drop the others.

    Paper      none, a baseline
    Code       none
    Where      before the LLM, on projected tokens
    Positions  PERC: the LLM receives a clip of fewer frames
    Differs    if the budget is not a whole number of frames, the last kept frame is thinned evenly,
               so that all methods use the same count
    """

    name = "frames"
    title = "Fewer frames"
    summary = "Keeps evenly spaced frames and drops the others."
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
    """(count,) indices of the middles of `count` equal parts of `length`."""
    return (2 * torch.arange(count, device=device) + 1) * length // (2 * count)
