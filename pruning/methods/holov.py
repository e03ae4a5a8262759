"""HoloV: shares the budget among chunks of the picture, so that context is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, Seam, knob
from pruning.ops.apportion import deal
from pruning.ops.join import frames_at_once
from pruning.ops.precision import widest
from pruning.ops.select import rank_each
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

SCALE = 1000  # factor of attention, which is small compared with variances of cosines
TINY = 1e-6


@dataclass(frozen=True)
class HoloV(BeforeLLM):
    """Cut the raster into chunks; each keeps its most attended tokens, in proportion to its score.

    The score of a chunk is its mean attention plus the variance of cosines between its tokens. In a
    clip, each frame is compressed alone, with its share of the budget.

    Paper      Zou et al., NeurIPS 2025, arXiv 2510.02912
    Code       obananas/HoloV @ 1d2e65e, llava/model/utils.py
    Where      before the LLM, on projected tokens, by the encoder's attention
    Positions  PERC, chunk by chunk, within a chunk in the order of attention
    Differs    chunks are runs of the raster, as released, not crops; a picture of any size has 16.
               Tokens that exceed a full chunk go to the others; preset "official" adds zeros
               instead. With `rank_by` "score" variance also selects tokens; the release scales it
               to the mean of attention, so that it hardly changes the share of a chunk. Without
               [CLS], received attention is the score
    """

    name = "holov"
    title = "HoloV"
    summary = "Shares the budget among chunks of the picture, by attention and variance."
    paper = "https://arxiv.org/abs/2510.02912"
    code = "https://github.com/obananas/HoloV"
    seam = Seam.PROJECTED
    published = Positions(before=PositionStrategy.PERC)
    PRESETS: ClassVar = {"default": {}, "official": {"overflow": "padding"}}

    chunks: int = knob(16, 1, 256, help="number of chunks of a picture")
    alpha: float = knob(0.09, 0.0, 1.0, help="weight of variance, relative to attention")
    rank_by: str = knob("attention", choices=("attention", "score"), help="order in a chunk")
    overflow: str = knob(
        "shared",
        choices=("shared", "padding"),
        help="excess of a full chunk: others take it, or zeros",
    )

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"attention"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None
        attention = visual.attention.float()  # (N,)
        if keep >= len(visual):
            return TokenMap.identity(len(visual), attention.device)

        return frames_at_once(
            visual.layout, keep, self.share, visual.features, attention, scores=attention
        )

    def share(self, features: Tensor, attention: Tensor, count: int) -> TokenMap:
        """One frame: the tokens of its chunks, and zeros if chunks hold less than their share."""
        token, real = cut(len(features), min(self.chunks, len(features)), features.device)  # (P, m)
        score = scored(features[token], SCALE * attention[token] * real, real, self.alpha)
        size = real.sum(dim=1)  # (P,)
        is_shared = self.overflow == "shared"
        quota = share_out(score.sum(dim=1) / size, size, count, is_shared)
        ranked_by = score if self.rank_by == "score" else attention[token]
        rank = rank_each(ranked_by.masked_fill(~real, -torch.inf))  # (P, m)
        place = torch.arange(token.shape[1], device=token.device)  # (m,)
        place = torch.where((quota == size)[:, None], place, rank)  # a full chunk keeps its order
        kept = real & (rank < quota[:, None])  # (P, m)
        chunk = torch.arange(len(size), device=token.device)[:, None]  # (P, 1)
        order = torch.where(kept, chunk, len(size)) * token.shape[1] + place
        first = order.flatten().argsort(stable=True)[:count]
        chosen, is_token = token.flatten()[first], kept.flatten()[first]  # (count,)
        selected = TokenMap.select(chosen, len(features))
        if is_shared:
            return selected
        return replace(
            selected,
            anchors=torch.where(is_token, chosen, -1),
            weights=is_token.float(),
            is_selection=False,
        )


def cut(n: int, chunks: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(P, m) int64 tokens of each chunk, the first of which may be longer by one, and (P, m) bool.

    In place of a missing last token stands another one, which is not real.
    """
    chunk = torch.arange(chunks + 1, device=device)
    start = chunk * (n // chunks) + chunk.clamp(max=n % chunks)  # (P + 1,)
    token = start[:-1, None] + torch.arange(-(-n // chunks), device=device)  # (P, m)
    return token.clamp(max=n - 1), token < start[1:, None]


def scored(parts: Tensor, attended: Tensor, real: Tensor, alpha: float) -> Tensor:
    """(P, m) scores of the tokens (P, m, D) of the chunks by attention (P, m) and variance."""
    varied = variance(parts.float() * real[:, :, None], real)  # (P, m)
    gain = attended.sum(dim=1) / (varied.sum(dim=1) + TINY * real.sum(dim=1))  # (P,)
    return attended + alpha * gain[:, None] * varied


def variance(parts: Tensor, real: Tensor) -> Tensor:
    """(P, m) variance of the cosines of each token with its chunk (P, m, D); own cosine: 0."""
    alike = cosine(parts, parts)  # (P, m, m)
    alike.diagonal(dim1=1, dim2=2).zero_()
    others = (real.sum(dim=1) - 1).clamp_min(1)[:, None]  # (P, 1)
    mean = alike.sum(dim=2) / others  # (P, m)
    deviation = (alike - mean[:, :, None]).square() * real[:, None]  # (P, m, m)
    return deviation.sum(dim=2) / others * real


def share_out(merit: Tensor, size: Tensor, total: int, is_shared: bool) -> Tensor:
    """(P,) int64 tokens of each chunk, in proportion to its merit, at most its size.

    The best chunks get one more each to reach `total`. Tokens beyond the sizes are lost, or shared:
    one more for each chunk with room, the best first, repeatedly.
    """
    share = widest(merit) / (widest(merit).sum() + TINY)  # (P,)
    quota = (share * total).floor().long()
    best = merit.argsort(descending=True, stable=True)  # (P,)
    quota = quota + (best.argsort() < total - quota.sum())
    quota = torch.minimum(quota, size)
    return quota + deal(total - quota.sum(), size - quota, best) if is_shared else quota
