"""SparseVLM: words related to the picture rate its tokens; some dropped tokens are recycled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, Positions, PositionStrategy, knob
from pruning.budget import Budget, Target, scaled_layers, staged
from pruning.ops.attention import rotary_bias
from pruning.ops.cluster import density_peaks, distances
from pruning.ops.select import best, top
from pruning.token_map import TokenMap
from pruning.tokens import LayerView

LAYERS = (3, 7, 16)  # of 32: after layers 2, 6 and 15
# Released counts from each layer on, by ratio: with clusters, and without.
RECYCLING = {
    1 / 3: (309, 204, 113),
    2 / 9: (312, 117, 39),
    1 / 6: (249, 55, 27),
    1 / 9: (82, 32, 18),
}
DROPPING = {
    1 / 3: (300, 200, 118),
    2 / 9: (238, 108, 60),
    1 / 6: (246, 54, 28),
    1 / 9: (66, 34, 20),
}
LOUD_HEADS = 14 / 32  # of all heads


@dataclass(frozen=True)
class SparseVLM(CompressionMethod):
    """Keep the tokens that words about the picture attend to, in three stages; recycle some others.

    These words, the raters, are more similar to the picture than the average word. The best of the
    dropped tokens are clustered; the clusters are kept.

    Paper      SparseVLM, ICML 2025, arXiv 2410.04417
    Code       Gumpest/SparseVLMs @ 26a5f48, modelling_sparse_llama.py, score.py, utils.py
    Where      inside the LLM, by the attention of the layer before
    Positions  PERC; PESP in "plus"
    Differs    counts have the proportions of the released list nearest to the ratio; the paper
               derives them from the rank. Clusters take at most half of a stage. If all words are
               equally similar, all are raters. Ties go to the earlier token; the release adds
               noise. "plus" is SparseVLM+ (v2.0): attention divided by that of rotary embedding
               alone, of the heads where the result is largest, and no recycling
    """

    name = "sparsevlm"
    title = "SparseVLM"
    summary = "Words about the picture rate its tokens; the best dropped tokens are clustered."
    paper = "https://arxiv.org/abs/2410.04417"
    code = "https://github.com/Gumpest/SparseVLMs"
    published = Positions(inner=PositionStrategy.PERC)
    PRESETS: ClassVar = {
        "v1.5": {},
        "plus": {"recycle_share": 0.0, "attention": "unbiased", "numbering": "pesp"},
    }

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    recycle_share: float = knob(0.3, 0.0, 1.0, help="share of dropped tokens that are merged")
    cluster_share: float = knob(0.1, 0.0, 0.5, help="clusters, divided by merged tokens")
    attention: str = knob(
        "plain", choices=("plain", "unbiased"), help="of raters; unbiased: without position"
    )

    @property
    def needs(self) -> Needs:
        signals = {"attention", "hidden", "inputs", "text_inputs"}
        rotary = {"rotary", "query_rotary"} if self.attention == "unbiased" else set()
        return Needs(llm_queries="text", llm=frozenset(signals | rotary))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        released = RECYCLING if self.recycle_share else DROPPING
        nearest = min(released, key=lambda official: abs(official - self.retention_ratio))
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return staged(target, scaled_layers(LAYERS, num_layers), released[nearest])

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.hidden is not None
        score = self.rate(view)  # (V,)
        clusters = self.clusters(len(view), keep)
        kept = top(score, keep - clusters)
        if not clusters:
            return best(score, keep)
        dropped = torch.ones_like(score, dtype=torch.bool).index_fill(0, kept, False)
        pool = self.recycled(len(view) - len(kept))
        pooled = top(score.masked_fill(~dropped, -torch.inf), pool)  # (R,)
        return recycle(score, kept, pooled, clusters, view.hidden)

    def rate(self, view: LayerView) -> Tensor:
        """(V,) mean attention of the raters."""
        assert view.attention is not None
        assert view.inputs is not None and view.text_inputs is not None
        words = raters(view.inputs, view.text_inputs)  # (R,)
        attention = view.attention.float()[:, words]  # (H, R, V)
        if self.attention == "unbiased":
            assert view.rotary is not None and view.query_rotary is not None
            attention = attention / rotary_bias(view.query_rotary[:, words], view.rotary)
            heads = max(1, round(LOUD_HEADS * len(attention)))
            attention = attention[top(attention.sum(dim=(1, 2)), heads)]
        return attention.mean(dim=(0, 1))

    def recycled(self, dropped: int) -> int:
        """Number of the dropped tokens that are merged."""
        return min(int(self.recycle_share * dropped) + 1, dropped)

    def clusters(self, rows: int, keep: int) -> int:
        """The fewest clusters among `keep` survivors that suffice for the merged tokens."""
        if not self.recycle_share or keep >= rows:
            return 0
        most = keep // 2
        for count in range(1, most):
            recycled = self.recycled(rows - keep + count)
            if int(self.cluster_share * recycled) + 1 <= count:
                return count
        return most


def raters(inputs: Tensor, text: Tensor) -> Tensor:
    """(R,) int64: the words (Q, D) more similar to the visual tokens (K, D) than the average word.

    All words if there are none.
    """
    similarity = (inputs.float() @ text.float().mT).softmax(dim=1).mean(dim=0)  # (Q,)
    above = similarity > similarity.mean()
    return (above if bool(above.any()) else ~above).nonzero().squeeze(1)


def recycle(score: Tensor, kept: Tensor, pool: Tensor, clusters: int, hidden: Tensor) -> TokenMap:
    """`kept` unchanged, then the means of the clusters (DPC-kNN) of `pool`, best centre first."""
    alive = torch.ones(1, len(pool), dtype=torch.bool, device=pool.device)
    distance = distances(hidden[pool][None], alive)  # (1, R, R)
    peaks = density_peaks(distance, alive, clusters)[0]  # (R,)
    centres = peaks.argsort(descending=True, stable=True)[:clusters]  # (C,)
    member = distance[0, :, centres].argmin(dim=1)  # (R,)
    rows = torch.arange(len(kept) + clusters, device=pool.device)
    member[centres] = rows[:clusters]
    owner = torch.full_like(score, -1, dtype=torch.int64)  # (V,)
    owner[kept], owner[pool] = rows[: len(kept)], len(kept) + member
    recycled = rows >= len(kept)
    tags = {"selected": ~recycled, "recycled": recycled}
    anchors = torch.cat([kept, pool[centres]])
    return TokenMap.merge(anchors, owner, scores=score, tags=tags)
