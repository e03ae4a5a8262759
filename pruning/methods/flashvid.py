"""FlashVID: keeps diverse, attended tokens; merges the rest in trees over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from pruning.base import CompressionMethod, Needs, Positions, PositionStrategy, Seam, knob
from pruning.budget import Budget, Target, expanded, scaled_layer
from pruning.ops.apportion import apportion, within_segments
from pruning.ops.attention import received
from pruning.ops.cluster import condense
from pruning.ops.diverse import diverse, relevance
from pruning.ops.grid import grid_of
from pruning.ops.join import joined
from pruning.ops.segment import lengths, segments
from pruning.ops.select import best, marked
from pruning.ops.tree import Forest, limit_all_children, limit_children, link_anywhere, trees
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens

DEPTH = 28  # layers of the LLM to which `layer` refers
QWEN = {"event_relevance": "none", "min_segments": 4, "numbering": "pesp"}


@dataclass(frozen=True)
class FlashVID(CompressionMethod):
    """Select attended and diverse tokens in each frame; merge the rest in trees over time.

    The clip is cut into segments (DySeg). Tokens of each frame are selected (ADTS). The others are
    linked to the most similar token of the frame before (TSTM), and the roots of each frame are
    clustered to the budget. Deep in the LLM, the attention of the last text token selects again.

    Paper      FlashVID, ICLR 2026, arXiv 2602.08024
    Code       Fanziyang-v/FlashVID @ 1d37422, flashvid/utils.py, token_selection.py
    Where      before the LLM, on projected tokens, then before LLM layer 20 of 28
    Positions  PERC before the LLM for LLaVA, PESP for Qwen; PESP inside
    Differs    the count is exact; the release rounds up in every frame. Cosines are in float32, in
               the release in the model's type. No token is chosen twice. Ties go to the earlier
               token; the release adds noise. `tree_mean`, `lone_frames`, `event_relevance` choose
               between paper and release. The published 8 segments suit 32 frames: `segment_frames`
               limits them, as segments of one frame have no trees. Preset "official" is the release
    """

    name = "flashvid"
    title = "FlashVID"
    summary = "Keeps attended and diverse tokens; merges the rest in trees over time."
    paper = "https://arxiv.org/abs/2602.08024"
    code = "https://github.com/Fanziyang-v/FlashVID"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)
    PRESETS: ClassVar = {
        "llava": {},
        "qwen2.5-vl": QWEN,
        "qwen3-vl": {**QWEN, "layer": 22},  # 28 of 36
        "official": {"tree_mean": "official", "lone_frames": "official", "segment_frames": 1},
    }

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    expansion: float = knob(1.25, 1.0, 2.0, help="tokens before the LLM, divided by that average")
    alpha: float = knob(0.7, 0.0, 1.0, help="share of selected tokens; the others are merged")
    event_relevance: str = knob(
        "segment", choices=("segment", "clip", "none"), help="frames whose mean weights attention"
    )
    merge_threshold: float = knob(0.8, -1.0, 1.0, help="cosine above which tokens are linked")
    segment_threshold: float = knob(0.9, -1.0, 1.0, help="cosine of frames below which to cut")
    min_segments: int = knob(8, 1, 64, help="fewest segments, limited by segment_frames")
    segment_frames: int = knob(4, 1, 64, help="frames in a segment, to limit min_segments")
    tree_mean: str = knob("paper", choices=("paper", "official"), help="divisor of a tree's sum")
    lone_frames: str = knob(
        "once", choices=("once", "official"), help="selected tokens there: used once, or merged too"
    )
    layer: int = knob(20, 1, 27, help="pruning layer, in a 28-layer LLM")

    @property
    def needs(self) -> Needs:
        attention = frozenset({"attention"})
        return Needs(encoder=attention, llm_queries="last", llm=attention)

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return expanded(target, scaled_layer(self.layer, num_layers, DEPTH), self.expansion)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        if keep >= len(visual):
            return TokenMap.identity(len(visual), visual.features.device)
        assert visual.attention is not None
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, len(visual) // frames, -1)  # (T, N, D)
        segment = self.cut(tokens)  # (T,)
        weight, selected = self.select(tokens, segment, visual.attention, keep)  # (T, N)
        forest = self.grow(tokens, segment, selected, keep)
        chosen = marked(selected.flatten(), frames * self.selected_each(tokens, keep))
        parts = {
            "adts": TokenMap.select(chosen, len(visual)),
            "tstm": self.thin(forest, tokens, segment, keep),
        }
        return joined(parts, scores=weight.flatten(), segments=segment)

    def cut(self, tokens: Tensor) -> Tensor:
        """DySeg: the segment of each frame (T,)."""
        means, threshold = tokens.mean(dim=1), self.segment_threshold
        return segments(means, self.min_segments, threshold, self.segment_frames)

    def select(
        self, tokens: Tensor, segment: Tensor, attention: Tensor, keep: int
    ) -> tuple[Tensor, Tensor]:
        """ADTS: the weight of each token (T, N), and whether it is selected (T, N) bool."""
        weight = attention.float().view(tokens.shape[:2])
        if self.event_relevance != "none":
            event = segment if self.event_relevance == "segment" else torch.zeros_like(segment)
            weight = weight * relevance(tokens, event)
        return weight, diverse(tokens, weight, self.selected_each(tokens, keep))

    def selected_each(self, tokens: Tensor, keep: int) -> int:
        return math.ceil(self.alpha * (keep // len(tokens)))

    def grow(self, tokens: Tensor, segment: Tensor, selected: Tensor, keep: int) -> Forest:
        """TSTM: trees of the other tokens; each segment keeps its share of `keep` as roots."""
        frames, per_frame, _ = tokens.shape
        length = lengths(segment)  # (T,) frames of each segment, then zeros
        group = segment.repeat_interleave(per_frame)  # (n,)
        similarity, parent = link_anywhere(tokens, ~selected)  # (n,)
        opens = pad(segment.diff(), (1, 0), value=1) > 0  # (T,) starts a segment
        child = (similarity > self.merge_threshold) & ~opens.repeat_interleave(per_frame)
        least = keep // frames * length  # (T,)
        short = torch.zeros_like(length).index_add(0, group, (~child).long()) < least
        most = per_frame * length - torch.where(short, least + 1, 0)  # one more, as released
        child = limit_children(child, similarity, group, most)
        child = limit_all_children(child, similarity, len(child) - keep)  # of the whole clip
        lone = (length[segment] == 1)[:, None] & (self.lone_frames == "official")  # (T, 1)
        return trees(child, parent, (~selected | lone).flatten(), frames, self.tree_mean)

    def thin(self, forest: Forest, tokens: Tensor, segment: Tensor, keep: int) -> TokenMap:
        """DPC-kNN: cluster the roots of each frame to what selection leaves of `keep`."""
        frames, selected = len(tokens), self.selected_each(tokens, keep)
        roots, total = forest.is_root.view(frames, -1).sum(dim=1), keep - frames * selected
        quota = within_segments(roots, segment, keep // frames - selected)  # (T,)
        return condense(forest, tokens, apportion(quota, roots, total), total)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.attention is not None
        return best(received(view.attention), keep)
