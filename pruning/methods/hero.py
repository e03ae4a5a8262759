"""HERO: shares the budget out over the crops of a picture; whole and crops have other scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, Seam, knob
from pruning.ops.apportion import apportion, capped
from pruning.ops.precision import widest
from pruning.ops.select import best_of_each
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens


@dataclass(frozen=True)
class HERO(BeforeLLM):
    """Give each crop of a picture a budget; keep what deep layers attend to in the whole picture.

    Models that cut a picture into crops also look at the whole of it. In that coarse view, the
    tokens that a deep encoder layer attends to are kept: they stand for the scene. In a crop, those
    that a shallow layer attends to: they stand for details. The budget of a crop grows with its
    area and with its similarity to the whole picture and to the question.

    Paper      HERO, 2025, arXiv 2509.13067
    Code       Lxxx-0327/HERO @ 41cc334, llava/model/llava_arch.py; its settings are not in it
    Where      before the LLM, on projected tokens, by the encoder's attention at two depths
    Positions  PERC: the whole picture, then the raster of the crops
    Differs    partly our reading. Crop and picture are compared by the mean of their projected
               tokens, crop and question by that mean and the mean embedding of the text; the
               release takes [CLS] and CLIP's text tower, which checkpoints of VLMs do not contain.
               One layer of each depth, not a list. The count is exact: what a full crop cannot hold
               goes to the others, where the release loses it. `alpha` and `temperature` are ours. A
               picture with one view keeps what the deep layer attends to, as released
    """

    name = "hero"
    title = "HERO"
    summary = "Gives each crop of the picture a budget by its similarity to picture and question."
    paper = "https://arxiv.org/abs/2509.13067"
    code = "https://github.com/Lxxx-0327/HERO"
    seam = Seam.PROJECTED
    media = frozenset({"image"})
    published = Positions(before=PositionStrategy.PERC)

    area_share: float = knob(0.2, 0.0, 1.0, help="share of crops' budgets set by their area")
    alpha: float = knob(0.5, 0.0, 1.0, help="of the rest: by picture (1) or by question (0)")
    temperature: float = knob(0.1, 0.01, 10.0, help="small: the most similar crop gets most")

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"attention", "shallow_attention", "text"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None and visual.shallow_attention is not None
        device = visual.features.device
        view = views(visual.layout, device)  # (N,)
        scores = torch.where(view == 0, visual.attention, visual.shallow_attention).float()
        size = view.bincount()  # (V,) the whole picture first
        whole = widest(size[:1]) / len(view)
        weights = self.weigh(visual, view, size)  # (V − 1,)
        quota = keep * torch.cat([whole, (1 - whole) * weights])
        kept = best_of_each(view, scores, apportion(capped(quota, size), size, keep))
        tags = {"whole": view[kept] == 0, "crop": view[kept] > 0}
        return TokenMap.select(kept, len(view), scores=scores, tags=tags)

    def weigh(self, visual: VisualTokens, view: Tensor, size: Tensor) -> Tensor:
        """(V − 1,) share of each crop in the budget of all crops."""
        assert visual.text is not None
        features = visual.features.float()
        total = features.new_zeros(len(size), features.shape[1]).index_add(0, view, features)
        mean = total / size[:, None]  # (V, D)
        question = visual.text.float().mean(dim=0, keepdim=True)  # (1, D)
        alike, relevant = (
            widest(cosine(mean[1:], other).squeeze(1) / self.temperature).softmax(dim=0)
            for other in (mean[:1], question)
        )
        return shares(size[1:], alike, relevant, self.alpha, self.area_share)


def views(layout: TokenLayout, device: torch.device) -> Tensor:
    """(N,) int64 view of each token; views without a token are skipped."""
    if layout.view is None:
        return torch.zeros(len(layout), dtype=torch.int64, device=device)
    compact = np.unique(layout.view, return_inverse=True)[1]
    return torch.from_numpy(compact).to(device)


def shares(
    area: Tensor, alike: Tensor, relevant: Tensor, alpha: float, area_share: float
) -> Tensor:
    """Share (C,) of each crop: of its area, and of two shares (C,) by similarity."""
    by_area = widest(area) / area.sum().clamp_min(1)
    return area_share * by_area + (1 - area_share) * (alpha * alike + (1 - alpha) * relevant)
