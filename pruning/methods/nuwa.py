"""Nüwa: keeps survivors in every region of the picture; they gather similar tokens nearby."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, scaled_layer, two_stage
from pruning.ops.grid import grid_of, proximity, rank_in_cells
from pruning.ops.select import best, best_offered, quantile
from pruning.ops.similarity import cosine, norm
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens

CELL = 2  # a region is 2 × 2 tokens
OFFICIAL_REACH = (280 / 1058) ** 0.5  # √280 tokens; the diagonal of 24 × 24 is √1058
SPANS = {"hidden": (2 / 3, 1.0), "middle": (1 / 4, 3 / 4)}  # of encoder depth
QUERIES = {"attention": "last", "loudest_head": "last3", "cosine": "none"}  # by ranker
QWEN = {
    **{"per_cell": 3, "pillar_quantile": 0.1, "alike_by": "middle", "reach": 0.8},
    **{"self_weight": "normalized", "ranker": "loudest_head"},
    "layer": 17,  # 15 of its 28
    "stage_ratio": 1 / 0.42,  # as released for an average of a quarter
}


@dataclass(frozen=True)
class Nuwa(CompressionMethod):
    """Keep the best tokens of all regions, aggregate their surroundings, drop again inside the LLM.

    Paper      Nüwa, ICLR 2026, arXiv 2602.02951
    Code       Man-PaperRejected/Nuwa @ 175b7d5, nuwa/clip_encoder.py, modeling_llama.py;
               in `qwen2.5-vl`: Vscan/qwen/model/qwen2_5vl_nuwa.py
    Where      before the LLM, on encoder tokens, then before the LLM's middle layer
    Positions  PESP as released, RPME as written
    Differs    paper and releases differ: each difference is a knob, each version a preset. Ours: an
               odd last row or column forms cells of its own, which the release for LLaVA never
               keeps; the count is exact, where that release keeps all from 3/4 of the tokens on (on
               24 × 24, for ratios above 0.429); no token gathers across frames, or if all are kept.
               The release for Qwen2.5-VL compares hidden states in window order, lets queries see
               later keys, and rounds the sides of the grid to even numbers. For Qwen3-VL nothing is
               released: `qwen3-vl` is `qwen2.5-vl`, at layer 19 of 36
    """

    name = "nuwa"
    title = "Nüwa"
    summary = "Keeps survivors in every region, which gather their surroundings; drops again."
    paper = "https://arxiv.org/abs/2602.02951"
    code = "https://github.com/Man-PaperRejected/Nuwa"
    needs_grid = True
    PRESETS: ClassVar = {
        "official": {},
        "paper": {
            "salience": "attention_norm",
            "pillar_by": "key_norm",
            "pillar_quantile": 0.75,
            "alike_by": "features",
            "reach": 0.26,
            "self_weight": "normalized",
            "ranker": "cosine",
            "numbering": "rpme",
        },
        "qwen2.5-vl": QWEN,
        "qwen3-vl": QWEN,  # no settings were published: these, the layer at the same depth
    }

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    salience: str = knob("attention", choices=("attention", "attention_norm"), help="ranks tokens")
    per_cell: int = knob(1, 1, CELL * CELL, help="fewest candidates of each cell")
    pillar_by: str = knob(
        "attention", choices=("attention", "key_norm", "feature_norm"), help="ranks pillars"
    )
    pillar_quantile: float = knob(0.55, 0.0, 1.0, help="survivors from it on are unchanged")
    alike_by: str = knob("hidden", choices=(*SPANS, "features"), help="input of cosines")
    reach: float = knob(OFFICIAL_REACH, 0.01, 2.0, help="of gathering, by the grid's diagonal")
    self_weight: str = knob("one", choices=("one", "normalized"), help="of a collector in its mean")
    layer: int = knob(16, 1, 31, help="pruning layer, in a 32-layer LLM")
    stage_ratio: float = knob(7.0, 1.0, 16.0, help="survivors before that layer per one after it")
    ranker: str = knob("attention", choices=tuple(QUERIES), help="ranks tokens there")

    @property
    def needs(self) -> Needs:
        keys = self.salience == "attention_norm" or self.pillar_by == "key_norm"
        return Needs(
            encoder=frozenset({"attention", "keys"} if keys else {"attention"}),
            encoder_span=SPANS.get(self.alike_by),
            llm_queries=QUERIES[self.ranker],
            llm=frozenset({"hidden", "text"} if self.ranker == "cosine" else {"attention"}),
        )

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return two_stage(target, scaled_layer(self.layer, num_layers), self.stage_ratio)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        if keep >= len(visual):
            return TokenMap.identity(len(visual), visual.features.device)
        grid = grid_of(visual.layout, self.title)
        salience = signal(self.salience, visual)  # (N,)
        rank = rank_in_cells(grid, CELL, salience)  # (N,)
        anchors = best_offered(rank, salience, keep, self.per_cell)  # (K,)
        strength = signal(self.pillar_by, visual)[anchors]  # (K,)
        pillar = strength >= quantile(strength, self.pillar_quantile)  # (K,)
        alike = signal(self.alike_by, visual)  # (N, Dv)
        near, heavy = proximity(grid, anchors, self.reach), self.self_weight == "one"
        weights = gather(alike, anchors, pillar, near, heavy)  # (K, N)
        tags = {"pillar": pillar, "collector": ~pillar}
        return TokenMap.dense(weights, anchors, scores=salience, tags=tags)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        if self.ranker == "cosine":
            assert view.hidden is not None and view.text is not None
            question = view.text.float().mean(dim=0, keepdim=True)  # (1, D)
            relevance = cosine(view.hidden, question).squeeze(1)  # (V,)
        else:
            assert view.attention is not None
            by_head = view.attention.float().mean(dim=1)  # (H, V)
            relevance = by_head.mean(dim=0) if self.ranker == "attention" else by_head.amax(dim=0)
        return best(relevance, keep)


def signal(name: str, visual: VisualTokens) -> Tensor:
    """One float32 value or vector for each token."""
    if name in SPANS:
        assert visual.hidden is not None
        return visual.hidden.float().mean(dim=0)
    if name == "features":
        return visual.features.float()
    if name == "feature_norm":
        return norm(visual.features)
    if name == "attention":
        assert visual.attention is not None
        return visual.attention.float()
    assert visual.keys is not None
    key_norm = norm(visual.keys)  # (N,) of the heads together
    return key_norm if name == "key_norm" else key_norm * signal("attention", visual)


def gather(alike: Tensor, anchors: Tensor, pillar: Tensor, near: Tensor, heavy: bool) -> Tensor:
    """(K, N) rows that sum to one: a pillar itself, or the similar tokens near a collector."""
    itself = near == 1  # (K, N)
    weights = cosine(alike[anchors], alike).clamp_min(0) * near  # (K, N)
    weights = torch.where(pillar[:, None], itself.float(), weights)
    weights = weights / (weights.sum(dim=1, keepdim=True) + 1e-8)
    return weights.masked_fill(itself, 1) if heavy else weights  # it weighs nearly twice
