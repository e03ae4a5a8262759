"""HIVTP: the tokens that middle encoder layers attend to, by quadrants and windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, knob
from pruning.ops.grid import grid_of
from pruning.ops.join import frames_at_once
from pruning.ops.select import in_turns, remaining
from pruning.ops.windows import partition
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

MIDDLE = (1 / 4, 1 / 3)  # layers 6 to 8 of 24


@dataclass(frozen=True)
class HIVTP(BeforeLLM):
    """Keep the best tokens of each quadrant, then the best remaining token of each small window.

    The score of a token is the attention that it receives in middle layers of the encoder. In a
    clip, each frame is compressed alone, with its share of the budget.

    Paper      Xu et al., 2025, arXiv 2509.23663
    Code       Blacktower27/HIVTP @ 69152e6, goprune/clip_encoder.py
    Where      before the LLM, on encoder tokens
    Positions  PERC, in raster order
    Differs    the ratio sets the count: at 0.5, a quarter of each quadrant and windows of 2 × 2, as
               released; at other ratios, quadrants and windows scale in proportion. If a window has
               no token left, the best second token of another window is kept
    """

    name = "hivtp"
    title = "HIVTP"
    summary = "Keeps the tokens that middle encoder layers attend to, in every quadrant and window."
    paper = "https://arxiv.org/abs/2509.23663"
    code = "https://github.com/Blacktower27/HIVTP"
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    quadrant_share: float = knob(0.5, 0.0, 1.0, help="share of the survivors that quadrants choose")

    @property
    def needs(self) -> Needs:
        return Needs(encoder_received=MIDDLE)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.received is not None
        scores = visual.received.float().mean(dim=0)  # (N,)
        if keep >= len(visual):
            return TokenMap.identity(len(visual), scores.device)
        _, rows, cols = grid_of(visual.layout, self.title)
        pick = partial(self.pick, rows=rows, cols=cols)
        return frames_at_once(visual.layout, keep, pick, scores, scores=scores)

    def pick(self, scores: Tensor, rows: int, cols: int, count: int) -> TokenMap:
        """One frame: the best tokens of its quadrants and of its windows, in raster order."""
        from_quadrants = int(self.quadrant_share * count)
        from_windows = count - from_quadrants
        quadrant = quadrants(rows, cols).to(scores.device)  # (n,)
        window = partition(from_windows, rows, cols).to(scores.device)  # (n,)
        first = in_turns(quadrant, scores, from_quadrants)
        rest = remaining(first, len(scores))
        best = rest[in_turns(window[rest], scores[rest], from_windows)]
        kept, order = torch.cat([first, best]).sort()  # (count,)
        tags = {"global": order < from_quadrants, "local": order >= from_quadrants}
        return TokenMap.select(kept, len(scores), tags=tags)


def quadrants(rows: int, cols: int) -> Tensor:
    """(rows · cols,) int64 quadrant of each token."""
    down, across = (torch.arange(length) * 2 // length for length in (rows, cols))
    return (2 * down[:, None] + across).flatten()
