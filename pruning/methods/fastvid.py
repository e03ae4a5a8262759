"""FastVID: attended tokens of every frame, and anchors that gather the rest of their segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Seam, knob
from pruning.ops.apportion import apportion
from pruning.ops.cluster import best, density_peaks, distances
from pruning.ops.grid import grid_of
from pruning.ops.join import joined
from pruning.ops.segment import segments
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

NEIGHBOURS = 4  # that make a token's density


@dataclass(frozen=True)
class FastVID(BeforeLLM):
    """Keep what is salient in each frame; let anchors in some frames gather the rest.

    The clip is cut into segments (DySeg). Each frame keeps what is attended (ATS); at density peaks
    of every few frames, anchors gather what is like them in all of their segment (DTM).

    Paper      FastVID, NeurIPS 2025, arXiv 2503.11187
    Code       LunarShen/FastVID @ a40a109, fastvid_llavaonevision, modeling_qwen2.py
    Where      before the LLM, on projected tokens
    Positions  PESP
    Differs    frame vectors are the encoder's own where the release adds a pretrained head; the
               count is exact, where the release loses remainders; what anchor frames cannot hold
               goes to salient tokens; ties go to the earlier token, not to noise; in a clip of
               under 32 frames `min_segments` gives way, as in FlashVID, but not in "official"
    """

    name = "fastvid"
    title = "FastVID"
    summary = "Keeps what is attended; anchors in some frames gather the rest of their segment."
    paper = "https://arxiv.org/abs/2503.11187"
    code = "https://github.com/LunarShen/FastVID"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    PRESETS: ClassVar = {"default": {}, "official": {"segment_frames": 1}}

    context_share: float = knob(0.4, 0.0, 1.0, help="of the survivors, anchors that gather")
    min_segments: int = knob(8, 1, 64, help="segments, at least, unless segment_frames forbids")
    segment_frames: int = knob(4, 1, 64, help="frames a segment: of a short clip, fewer segments")
    segment_threshold: float = knob(0.9, -1.0, 1.0, help="cosine below which frames are cut apart")
    anchor_interval: int = knob(4, 1, 64, help="frames between two with anchors, in a segment")
    beta: float = knob(0.6, 0.0, 1.0, help="weight of an anchor in what it gathers, at least")

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
        score = density_peaks(distances(tokens, ~kept), ~kept, torch.full_like(salient, NEIGHBOURS))
        anchor = best(score, context)  # (T, N)
        parts = {
            "salient": TokenMap.select(kept.flatten().nonzero().squeeze(1), len(visual)),
            "context": gather(tokens, ~kept, anchor, segment, self.beta),
        }
        return joined(parts, scores=attention.flatten(), segments=segment)

    def split(self, segment: Tensor, per_frame: int, keep: int) -> tuple[Tensor, Tensor]:
        """Salient tokens and anchors of each frame (T,), `keep` together."""
        frames = len(segment)
        each = round(keep / frames)
        num_context = int(each * self.context_share)
        length = segment.bincount()  # (G,)
        last = length.cumsum(0)[segment] - 1  # (T,) last frame of each frame's segment
        holds = (last - torch.arange(frames, device=segment.device)) % self.anchor_interval == 0
        holders = torch.zeros_like(length).index_add(0, segment, holds.long())  # (G,)
        quota = (num_context * length).double()[segment] / holders[segment] * holds  # (T,)
        room = (per_frame - each + num_context) * holds  # (T,)
        total = min(max(keep - frames * (each - num_context), 0), int(room.sum()))
        context = apportion(quota, room, total)
        even = torch.full_like(quota, (keep - total) / frames)
        return apportion(even, per_frame - context, keep - total), context


def gather(tokens: Tensor, free: Tensor, anchor: Tensor, segment: Tensor, beta: float) -> TokenMap:
    """Every anchor with the mean of the free tokens of its segment that like it best in its frame.

    A token is asked anew by each frame with anchors, so it may feed several of them.
    """
    per_frame, flat = tokens.shape[1], tokens.flatten(0, 1)  # (T · N, D)
    anchors = anchor.flatten().nonzero().squeeze(1)  # (K,)
    rows, cols = [anchors[:0]], [anchors[:0]]
    for frame in anchor.any(dim=1).nonzero().squeeze(1).tolist():
        start, stop = (int(edge) for edge in (segment == segment[frame]).nonzero()[[0, -1]])
        near = free[start : stop + 1].flatten().nonzero().squeeze(1)  # (M,)
        mine = anchors[anchors // per_frame == frame]  # (m,)
        alike = cosine(tokens[start : stop + 1].flatten(0, 1), flat[mine])  # (P · N, m)
        itself = near[:, None] + start * per_frame == mine  # (M, m)
        closest = alike[near].masked_fill(itself, torch.inf).argmax(dim=1)  # (M,)
        rows.append(torch.searchsorted(anchors, mine[closest]))
        cols.append(near + start * per_frame)
    row, order = torch.cat(rows).sort(stable=True)  # (E,)
    col = torch.cat(cols)[order]
    size = row.bincount(minlength=len(anchors)).float()  # (K,) the anchor is one of them
    own = (1 / (size + 1)).clamp_min(beta)  # (K,)
    weight = ((1 - own) / size)[row] + torch.where(col == anchors[row], own[row], 0)
    edge = weight != 0
    return TokenMap(free.numel(), anchors, row[edge], col[edge], weight[edge])
