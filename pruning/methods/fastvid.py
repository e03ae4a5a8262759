"""FastVID: keeps attended tokens of every frame; anchors gather the rest of their segment."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Seam, knob
from pruning.ops.apportion import apportion
from pruning.ops.cluster import best, density_peaks, distances
from pruning.ops.grid import grid_of
from pruning.ops.join import joined
from pruning.ops.precision import widest
from pruning.ops.segment import lengths, segments
from pruning.ops.select import marked
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

NEIGHBOURS = 4  # for the density of a token


@dataclass(frozen=True)
class FastVID(BeforeLLM):
    """Keep the salient tokens of each frame; merge the rest into anchors of some frames.

    The clip is cut into segments (DySeg). Each frame keeps its most attended tokens (ATS). Every
    few frames, density peaks become anchors, which gather similar tokens of their segment (DTM).

    Paper      FastVID, NeurIPS 2025, arXiv 2503.11187
    Code       LunarShen/FastVID @ a40a109, fastvid_llavaonevision, modeling_qwen2.py
    Where      before the LLM, on projected tokens
    Positions  PESP
    Differs    frame vectors come from the encoder; the release adds a pretrained head. The count is
               exact; the release drops remainders. Tokens that do not fit into anchor frames are
               added to the salient ones. Ties go to the earlier token; the release adds noise. In
               clips of fewer than 32 frames `segment_frames` limits `min_segments`, as in FlashVID,
               except in "official"
    """

    name = "fastvid"
    title = "FastVID"
    summary = "Keeps attended tokens; anchors in some frames gather the rest of their segment."
    paper = "https://arxiv.org/abs/2503.11187"
    code = "https://github.com/LunarShen/FastVID"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    PRESETS: ClassVar = {"default": {}, "official": {"segment_frames": 1}}

    context_share: float = knob(0.4, 0.0, 1.0, help="share of anchors among survivors")
    min_segments: int = knob(8, 1, 64, help="fewest segments, limited by segment_frames")
    segment_frames: int = knob(4, 1, 64, help="frames in a segment, to limit min_segments")
    segment_threshold: float = knob(0.9, -1.0, 1.0, help="cosine of frames below which to cut")
    anchor_interval: int = knob(4, 1, 64, help="distance of frames with anchors in a segment")
    beta: float = knob(0.6, 0.0, 1.0, help="smallest weight of an anchor in its mean")

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"attention", "frames"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        if keep >= len(visual):
            return TokenMap.identity(len(visual), visual.features.device)
        assert visual.attention is not None and visual.frames is not None
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, len(visual) // frames, -1)  # (T, N, D)
        segment = segments(
            visual.frames, self.min_segments, self.segment_threshold, self.segment_frames
        )  # (T,)
        salient, context = self.split(segment, tokens.shape[1], keep)  # (T,)
        attention = visual.attention.float().view(frames, -1)  # (T, N)
        kept = best(attention, salient)  # (T, N)
        score = density_peaks(distances(tokens, ~kept), ~kept, NEIGHBOURS)
        anchor = best(score, context)  # (T, N)
        frame_of = torch.stack([segment, salient, context]).T.tolist()  # one wait for the GPU
        chosen = marked(kept.flatten(), sum(count for _, count, _ in frame_of))
        parts = {
            "salient": TokenMap.select(chosen, len(visual)),
            "context": gather(tokens, ~kept, anchor, frame_of, self.beta),
        }
        return joined(parts, scores=attention.flatten(), segments=segment)

    def split(self, segment: Tensor, per_frame: int, keep: int) -> tuple[Tensor, Tensor]:
        """Numbers of salient tokens and of anchors in each frame (T,), `keep` in total."""
        frames = len(segment)
        each = round(keep / frames)
        num_context = int(each * self.context_share)
        length = lengths(segment)  # (T,) frames of each segment, then zeros
        last = length.cumsum(0)[segment] - 1  # (T,) last frame of each frame's segment
        holds = (last - torch.arange(frames, device=segment.device)) % self.anchor_interval == 0
        holders = torch.zeros_like(length).index_add(0, segment, holds.long())  # (T,)
        quota = widest(num_context * length)[segment] / holders[segment] * holds  # (T,)
        room = (per_frame - each + num_context) * holds  # (T,)
        total = min(max(keep - frames * (each - num_context), 0), int(room.sum()))
        context = apportion(quota, room, total)
        even = torch.full_like(quota, (keep - total) / frames)
        return apportion(even, per_frame - context, keep - total), context


def gather(
    tokens: Tensor, free: Tensor, anchor: Tensor, frames: Sequence[Sequence[int]], beta: float
) -> TokenMap:
    """Merge the free tokens of a segment into the most similar anchor of each frame with anchors.

    A token may be merged into anchors of several frames.

    Args:
        tokens: (T, N, D).
        free: (T, N) bool.
        anchor: (T, N) bool: some of the free tokens.
        frames: T times its segment, its tokens that are not free, and its anchors.
        beta: smallest weight of an anchor in its mean.
    """
    per_frame, flat = tokens.shape[1], tokens.flatten(0, 1)  # (T · N, D)
    of, taken, holds = zip(*frames, strict=True)  # T numbers each
    anchors = marked(anchor.flatten(), sum(holds))  # (K,)
    rows, cols = [anchors[:0]], [anchors[:0]]
    for segment, count, before in zip(of, holds, accumulate(holds, initial=0), strict=False):
        if not count:
            continue
        start, stop = bisect_left(of, segment), bisect_right(of, segment)
        near = marked(
            free[start:stop].flatten(), (stop - start) * per_frame - sum(taken[start:stop])
        )
        mine = anchors[before : before + count]  # (m,)
        similarity = cosine(tokens[start:stop].flatten(0, 1), flat[mine])  # (P · N, m)
        itself = near[:, None] + start * per_frame == mine  # (M, m)
        closest = similarity[near].masked_fill(itself, torch.inf).argmax(dim=1)  # (M,)
        rows.append(before + closest)
        cols.append(near + start * per_frame)
    row, order = torch.cat(rows).sort(stable=True)  # (E,)
    col = torch.cat(cols)[order]
    size = torch.zeros_like(anchors).index_add(0, row, torch.ones_like(row)).float()  # (K,)
    own = (1 / (size + 1)).clamp_min(beta)  # (K,) of the anchor, which is among its tokens
    weight = ((1 - own) / size)[row] + torch.where(col == anchors[row], own[row], 0)
    return TokenMap(free.numel(), anchors, row, col, weight)
