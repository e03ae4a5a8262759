"""HoliTom: stores once what stays alike in a segment, selects what moves, merges inside the LLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, Positions, PositionStrategy, Seam, knob
from pruning.budget import Budget, Target, scaled_layer, two_stage
from pruning.ops.apportion import apportion
from pruning.ops.attention import received
from pruning.ops.cluster import best, condense
from pruning.ops.grid import grid_of
from pruning.ops.join import joined
from pruning.ops.precision import widest
from pruning.ops.segment import lengths, most_saving, streaks
from pruning.ops.select import marked, rank_within, top
from pruning.ops.similarity import cosine
from pruning.ops.tree import Forest, fold_static, link_in_place
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens

DEPTH = 28  # layers of the LLM to which `layer` refers
FAINTEST = 126  # 2 to the minus this is the smallest weight of a merged token
QWEN = {"numbering": "pesp"}


@dataclass(frozen=True)
class HoliTom(CompressionMethod):
    """Cut the clip where static places save most; cluster them, and select the rest by attention.

    A place is static if it stays alike between all frames of its segment; it becomes its mean in
    the first of them. Deep in the LLM, the less attended half merges into the most similar tokens.

    Paper      HoliTom, NeurIPS 2025, arXiv 2505.21334
    Code       cokeshao/HoliTom @ e9b2972, holitom/llava_arch.py, modeling_qwen2.py
    Where      before the LLM, on projected tokens, then before LLM layer 18 of 28
    Positions  PERC before the LLM for LLaVA, PESP for Qwen; PESP inside
    Differs    the count is exact; the release rounds up in every frame. If a clip is so still that
               too few tokens remain, its least similar static tokens stay apart. Counts before the
               LLM and inside follow from the ratio, at the released proportion. Clusters of moving
               tokens, which the release cannot run, are left out. No noise on densities
    """

    name = "holitom"
    title = "HoliTom"
    summary = "Stores still places once a segment, selects moving tokens, merges half inside."
    paper = "https://arxiv.org/abs/2505.21334"
    code = "https://github.com/cokeshao/HoliTom"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)
    PRESETS: ClassVar = {"llava": {}, "qwen2.5-vl": QWEN, "qwen3-vl": QWEN}

    retention_ratio: float = knob(0.15, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    static_threshold: float = knob(0.8, -1.0, 1.0, help="cosine above which a place stays alike")
    longest: int = knob(1024, 1, 1024, help="frames in a segment at most")
    neighbours: int = knob(7, 1, 64, help="tokens that define a density")
    centre_weight: float = knob(
        0.6, 0.0, 1.0, help="of a cluster's centre; 0: as any of its tokens"
    )
    layer: int = knob(18, 1, 27, help="pruning layer, in a 28-layer LLM")
    stage_ratio: float = knob(2.0, 1.0, 16.0, help="survivors before that layer per one after it")

    @property
    def needs(self) -> Needs:
        attention = frozenset({"attention"})
        return Needs(encoder=attention, llm_queries="last", llm=attention | {"hidden"})

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return two_stage(target, scaled_layer(self.layer, num_layers, DEPTH), self.stage_ratio)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        if keep >= len(visual):
            return TokenMap.identity(len(visual), visual.features.device)
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, len(visual) // frames, -1)  # (T, N, D)
        segment, static = self.fold(tokens, keep)
        sorts = torch.stack([static.is_root, static.root < 0])  # (2, n) still, moving
        sizes = sorts.view(2 * frames, -1).sum(dim=1)  # (2T,)
        counts = apportion(keep * widest(sizes) / sizes.sum(), sizes, keep).view(2, frames)
        return self.thin(visual, tokens, segment, static, counts)

    def fold(self, tokens: Tensor, keep: int) -> tuple[Tensor, Forest]:
        """The segment of each frame (T,), and its static places merged into its first frame."""
        likeness = link_in_place(tokens)[0].view(tokens.shape[:2])  # (T, N) to the frame before
        streak = streaks(likeness[1:] > self.static_threshold)  # (T, N)
        segment = most_saving(streak, self.longest)
        length = lengths(segment)  # (T,) frames of each segment, then zeros
        last = length.cumsum(0) - 1  # (T,) last frame
        static = (streak[last] >= length[:, None] - 1) & (length[:, None] > 1)  # (T, N)
        return segment, fold_static(static[segment], likeness, segment, keep)

    def thin(
        self,
        visual: VisualTokens,
        tokens: Tensor,
        segment: Tensor,
        static: Forest,
        counts: Tensor,
    ) -> TokenMap:
        """Cluster static places and select moving tokens to `counts` (2, T) of each frame."""
        assert visual.attention is not None
        attention = visual.attention.float()
        weight = attention.masked_fill(static.root >= 0, -torch.inf).view(tokens.shape[:2])
        clusters, moving = counts.sum(dim=1).tolist()
        centre = self.centre_weight or None
        chosen = marked(best(weight, counts[1]).flatten(), moving)
        parts = {
            "static": condense(static, tokens, counts[0], clusters, self.neighbours, centre),
            "dynamic": TokenMap.select(chosen, len(visual)),
        }
        return joined(parts, scores=attention, segments=segment)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.attention is not None and view.hidden is not None
        scores = received(view.attention)  # (V,)
        kept = top(scores, keep)  # (K,)
        dropped = torch.ones_like(scores, dtype=torch.bool).index_fill(0, kept, False)
        merged = dropped.nonzero().squeeze(1)  # (M,)
        owner = cosine(view.hidden[merged], view.hidden[kept]).argmax(dim=1)  # (M,)
        return halved(kept, merged, owner, scores)


def halved(kept: Tensor, merged: Tensor, owner: Tensor, scores: Tensor) -> TokenMap:
    """Merge tokens (M,) into survivors (K,) one after another; each halves what was there."""
    count = owner.bincount(minlength=len(kept))  # (K,)
    turn = rank_within(owner, merged) + 1  # (M,) the last token counts half
    rows = torch.cat([torch.arange(len(kept), device=kept.device), owner])
    rows, order = rows.sort(stable=True)  # (E,)
    cols, halvings = torch.cat([kept, merged])[order], torch.cat([count, turn])[order]
    weights = 0.5 ** halvings.clamp_max(FAINTEST)
    return TokenMap(len(scores), kept, rows, cols, weights, scores=scores)
