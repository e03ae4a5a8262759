"""HoloV: shares the budget among chunks of the picture, so that context is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, Seam, knob
from pruning.ops.join import frame_by_frame
from pruning.ops.precision import widest
from pruning.ops.select import rank_within
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

        def share(frame: slice, count: int) -> TokenMap:
            return self.share(visual.features[frame], attention[frame], count)

        return frame_by_frame(visual.layout, keep, share, attention)

    def share(self, features: Tensor, attention: Tensor, keep: int) -> TokenMap:
        """One frame: the tokens of its chunks, and zeros if chunks hold less than their share."""
        n, device = len(features), features.device
        score, real = scored(features, attention, min(self.chunks, n), self.alpha)  # (P, m)
        size = real.sum(dim=1)  # (P,)
        quota = share_out(score.sum(dim=1) / size, size, keep, self.overflow == "shared")
        chunk = torch.arange(len(size), device=device).repeat_interleave(size)  # (n,)
        rank = rank_within(chunk, score[real] if self.rank_by == "score" else attention)  # (n,)
        raster = torch.arange(n, device=device)
        place = torch.where((quota == size)[chunk], raster, rank)  # a full chunk keeps its order
        kept = (rank < quota[chunk]).nonzero().squeeze(1)
        kept = kept[(chunk * n + place)[kept].argsort()]
        selected = TokenMap.select(kept, n)
        return replace(selected, anchors=pad(kept, (0, keep - len(kept)), value=-1))


def scored(features: Tensor, attention: Tensor, chunks: int, alpha: float) -> tuple[Tensor, Tensor]:
    """(P, m) scores of the tokens by chunk, and which entries are tokens, not padding."""
    parts = features.float().tensor_split(chunks)  # the first ones may be longer by one
    padded = pad_sequence(list(parts), batch_first=True)  # (P, m, D)
    attended = SCALE * pad_sequence(list(attention.tensor_split(chunks)), batch_first=True)
    size = torch.tensor([len(part) for part in parts], device=features.device)[:, None]  # (P, 1)
    real = torch.arange(padded.shape[1], device=features.device) < size  # (P, m)
    varied = variance(padded, real)  # (P, m)
    gain = attended.sum(dim=1) / (varied.sum(dim=1) + TINY * size[:, 0])  # (P,)
    return attended + alpha * gain[:, None] * varied, real


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
    quota[best[: total - int(quota.sum())]] += 1
    quota = torch.minimum(quota, size)
    while is_shared and (left := total - int(quota.sum())) > 0:
        quota[best[(quota < size)[best]][:left]] += 1
    return quota
