"""PruneVID: merges static tokens over time; the question selects tokens inside the LLM."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pruning.base import CompressionMethod, Needs, Positions, PositionStrategy, Seam, knob
from pruning.budget import Budget, Target, scaled_layer, two_stage
from pruning.ops.apportion import apportion
from pruning.ops.cluster import condense
from pruning.ops.grid import grid_of
from pruning.ops.join import joined
from pruning.ops.precision import widest
from pruning.ops.segment import lengths, scenes
from pruning.ops.select import rank_within
from pruning.ops.tree import UNLIKE, Forest, fold_static
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens


@dataclass(frozen=True)
class PruneVID(CompressionMethod):
    """Average the static tokens of each segment; cluster static and dynamic tokens separately.

    Inside the LLM, each frame keeps the tokens that any text token attends to most, in any head.

    Paper      PruneVid, ACL Findings 2025, arXiv 2412.16117
    Code       Visual-AI/PruneVid @ b12600c, as described; no stored output of it to compare with
    Where      before the LLM, on projected tokens, then before LLM layer 11 of 32; the caches of
               all layers before are trimmed
    Positions  PERC before the LLM, PESP inside
    Differs    counts follow from the ratio at the released proportion of both places; survivors
               stay in raster order; small sets are clustered too; inside the LLM a frame's static
               and dynamic tokens compete; a segment of one frame has no static token
    """

    name = "prunevid"
    title = "PruneVID"
    summary = "Averages static tokens, clusters the rest, then selects by the question."
    paper = "https://arxiv.org/abs/2412.16117"
    code = "https://github.com/Visual-AI/PruneVid"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    segment_share: float = knob(0.25, 0.01, 1.0, help="clusters of frames, divided by frames")
    static_threshold: float = knob(0.8, -1.0, 1.0, help="mean cosine above which a place is static")
    layer: int = knob(11, 1, 31, help="pruning layer, in a 32-layer LLM")
    stage_ratio: float = knob(2.5, 1.0, 16.0, help="survivors before that layer per one after it")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries="text", llm=frozenset({"attention"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        stages = two_stage(target, scaled_layer(self.layer, num_layers), self.stage_ratio)
        return replace(stages, trims_from=0)  # as released; the answer keeps its ids

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        n, device = len(visual), visual.features.device
        if keep >= n:
            return TokenMap.identity(n, device)
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, n // frames, -1)  # (T, N, D)
        segment = scenes(tokens.mean(dim=1), self.segment_share)  # (T,)
        static = self.average(tokens, segment, keep)
        dynamic = Forest.alone(static.root < 0)
        sizes = torch.stack([roots_of(each, frames) for each in (static, dynamic)])  # (2, T)
        quota, room = keep * widest(sizes) / sizes.sum(), sizes.flatten()
        counts = apportion(quota.flatten(), room, keep).view(2, frames)
        total = int(counts[0].sum())
        return joined(
            {
                "static": condense(static, tokens, counts[0], total),
                "dynamic": condense(dynamic, tokens, counts[1], keep - total),
            },
            segments=segment,
        )

    def average(self, tokens: Tensor, segment: Tensor, keep: int) -> Forest:
        """Merge static places of a segment into its first frame, until `keep` tokens remain."""
        stillness = still(tokens, segment)  # (T, N)
        return fold_static(stillness > self.static_threshold, stillness, segment, keep)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.attention is not None
        scores = view.attention.float().amax(dim=(0, 1))  # (V,) over heads and text tokens
        frames = torch.from_numpy(view.layout.frame).to(scores.device).long()  # (N,)
        frame = frames[view.anchors.clamp_min(0)]  # (V,); placeless: as numbered, the first
        rows = frame.bincount()  # (T,)
        counts = apportion(keep * widest(rows) / len(view), rows, keep)
        kept = (rank_within(frame, scores) < counts[frame]).nonzero().squeeze(1)
        return TokenMap.select(kept, len(view), scores=scores)


def still(tokens: Tensor, segment: Tensor) -> Tensor:
    """(T, N) mean cosine of the tokens at a place, over the pairs of frames of its segment."""
    unit = normalize(tokens, dim=-1)  # (T, N, D)
    length = lengths(segment)[segment]  # (T,)
    together = (segment[:, None] == segment).float()  # (T, T)
    total = (together @ unit.flatten(1)).view_as(unit).square().sum(dim=2)  # (T, N) of all pairs
    pairs = (length * (length - 1))[:, None]  # (T, 1)
    return torch.where(pairs > 0, (total - length[:, None]) / pairs.clamp_min(1), UNLIKE)


def roots_of(forest: Forest, frames: int) -> Tensor:
    """(T,) number of roots in each frame."""
    return forest.is_root.view(frames, -1).sum(dim=1)
