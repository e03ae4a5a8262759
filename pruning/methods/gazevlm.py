"""GazeVLM: the regions that a person looks at get most of the budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, knob
from pruning.ops.apportion import apportion, capped
from pruning.ops.precision import widest
from pruning.ops.select import best_of_each
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens

TINY = 1e-30  # of a gaze map that has no weight anywhere


@dataclass(frozen=True)
class GazeVLM(BeforeLLM):
    """Give each region of the picture a budget by the time that a person looks at it.

    Points of gaze (clicks, or a trail of the mouse) become a map: around each point a Gaussian,
    times its seconds. A part of the budget is spread over all regions by their size, for a coarse
    view of the whole. The rest follows the map. In a region, the tokens that receive most attention
    in the encoder are kept.

    Paper      GazeVLM, 2025, arXiv 2509.16476
    Code       none was found
    Where      before the LLM, on encoder tokens, by the gaze that comes with the request
    Positions  PESP, our choice
    Differs    our reading. The paper works on pixels: it crops the smallest box that holds a share
               of the map, and adds the whole picture, shrunk to one token. Here both are budgets of
               tokens of one picture. `spread`, `regions` and `whole_share` are ours: the paper's
               values could not be read. Without gaze it is refused
    """

    name = "gazevlm"
    title = "GazeVLM"
    summary = "Spends most tokens where you look: click on the picture."
    paper = "https://arxiv.org/abs/2509.16476"
    media = frozenset({"image"})

    whole_share: float = knob(0.3, 0.0, 1.0, help="share of the budget for the whole picture")
    spread: float = knob(0.06, 0.01, 1.0, help="of a point of gaze, by the picture's diagonal")
    regions: int = knob(6, 1, 32, help="regions along each side of the picture")

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"attention"}), request=frozenset({"gaze"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None and visual.gaze is not None
        device = visual.attention.device
        looked = gaze_map(visual.gaze, visual.layout, self.spread).to(device)  # (N,)
        region = regions_of(visual.layout, self.regions).to(device)  # (N,)
        size = region.bincount()  # (R,)
        weight = widest(torch.zeros_like(size)).index_add(0, region, widest(looked))  # (R,)
        by_gaze = weight / weight.sum().clamp_min(TINY)
        by_size = widest(size) / len(region)
        quota = keep * (self.whole_share * by_size + (1 - self.whole_share) * by_gaze)
        kept = best_of_each(
            region, visual.attention.float(), apportion(capped(quota, size), size, keep)
        )
        return TokenMap.select(kept, len(region), scores=looked)


def gaze_map(gaze: Tensor, layout: TokenLayout, spread: float) -> Tensor:
    """(N,) float32 seconds of gaze (G, 3) around the centre of each token.

    Distances are those of the model's input, where a token is a square: `spread` is the deviation
    of the Gaussians as a share of the input's diagonal.
    """
    box = torch.from_numpy(layout.box)  # (N, 4)
    side = box[:, 2:] - box[:, :2]  # (N, 2)
    diagonal = (1 / side).norm(dim=1, keepdim=True)  # (N, 1) in tokens
    point, seconds = gaze[:, :2].cpu(), gaze[:, 2].cpu()
    offset = ((box[:, :2] + box[:, 2:]) / 2)[:, None] - point  # (N, G, 2)
    distance = (offset / side[:, None]).norm(dim=2) / diagonal  # (N, G)
    looked: Tensor = (-((distance / spread) ** 2) / 2).exp() @ seconds
    return looked


def regions_of(layout: TokenLayout, count: int) -> Tensor:
    """(N,) int64 region of each token, of `count` × `count`; padding belongs to the border's."""
    box = torch.from_numpy(layout.box)  # (N, 4)
    middle = (box[:, :2] + box[:, 2:]) / 2  # (N, 2)
    col, row = (middle * count).long().clamp(0, count - 1).T
    region: Tensor = row * count + col
    return region
