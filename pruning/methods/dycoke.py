"""DyCoke: drops what repeats in groups of four frames, and reads part of the cache in decode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam, knob
from pruning.budget import ROUNDING, Budget, Target, scaled_layer
from pruning.ops.apportion import apportion
from pruning.ops.attention import received
from pruning.ops.cluster import best
from pruning.ops.grid import grid_of
from pruning.ops.precision import widest
from pruning.ops.select import best as best_of
from pruning.token_map import TokenMap
from pruning.tokens import StepView, VisualTokens

GROUP = 4  # frames; the first of each is kept whole
DEPTH = 28  # layers of the LLM to which `layer` refers
NEW = 2.0  # the difference of a token of a first frame; others have at most 2
QWEN = {"numbering": "pesp"}


@dataclass(frozen=True)
class DyCoke(BeforeLLM):
    """Keep the first of four frames whole, and of the others the tokens that differ from before.

    The second and fourth frame are compared with the frame before, the third with the first. In
    decode, later layers read the visual tokens that the new token attends to most, for each new
    token again. If its attention is as it was one token before, they read all. Caches lose nothing.

    Paper      DyCoke, CVPR 2025, arXiv 2411.15024
    Code       KD-TAO/DyCoke @ dd74634, llava_arch.py:dycole_ttm, modeling_qwen2.py
    Where      before the LLM, on projected tokens; in decode, from LLM layer 3 of 28 on
    Positions  PERC for LLaVA, PESP for Qwen; cached rows keep their ids
    Differs    the ratio is that of prefill. Each third frame is thinned and the last frame is kept;
               the release keeps the last third frame whole, loses an odd last frame, and crashes
               below five frames. A ratio too low for the first frames is refused. Attention is
               compared within an answer, not with that of the last one. If all tokens are kept,
               decode reads all of them
    """

    name = "dycoke"
    title = "DyCoke"
    summary = "Keeps one frame in four and changes of the others; decode reads attended tokens."
    paper = "https://arxiv.org/abs/2411.15024"
    code = "https://github.com/KD-TAO/DyCoke"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)
    PRESETS: ClassVar = {"llava": {}, "qwen2.5-vl": QWEN, "qwen3-vl": QWEN}

    retention_ratio: float = knob(0.5, 0.01, 1.0, help="share of visual tokens kept")
    decode_drop: float = knob(0.7, 0.0, 0.99, help="share of them that decode does not read")
    decode_threshold: float = knob(0.9, -1.0, 1.0, help="cosine of attention: from it on, read all")
    layer: int = knob(3, 1, 27, help="first layer that reads fewer in decode, in a 28-layer LLM")

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        before = super().budget(num_tokens, num_layers).before
        if self.retention_ratio >= 1 or num_layers < 2:
            return Budget(before)
        reads = max(1, math.floor((1 - self.decode_drop) * before + ROUNDING))
        return Budget(before, reads=(scaled_layer(self.layer, num_layers, DEPTH), reads))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, len(visual) // frames, -1)  # (T, N, D)
        target = Target(self.title, len(visual), 1, keep / len(visual))
        first = torch.arange(frames, device=tokens.device) % GROUP == 0  # (T,)
        leaders = -(-frames // GROUP)
        target.require(leaders / frames, f"keeps {leaders} of {frames} frames whole")
        per_frame = tokens.shape[1]
        room = torch.where(first, 0, per_frame)  # (T,)
        rest = keep - leaders * per_frame
        counts = apportion(rest * widest(room) / room.sum().clamp_min(1), room, rest)
        return thin(tokens, torch.where(first, per_frame, counts))

    def recall(self, view: StepView, keep: int) -> TokenMap:
        attention = received(view.attention)  # (V,)
        if view.previous is not None:
            likeness = cosine_similarity(attention, received(view.previous), dim=0)
            if likeness >= self.decode_threshold:
                return TokenMap.identity(len(view), attention.device)
        return best_of(attention, keep)


def thin(tokens: Tensor, counts: Tensor) -> TokenMap:
    """Keep in each frame the `counts` (T,) tokens least like those at their place before."""
    frames, per_frame, _ = tokens.shape
    index = torch.arange(frames, device=tokens.device)
    before = index - torch.where(index % GROUP == 2, 2, index % 2)  # (T,) the third: the first
    difference = 1 - cosine_similarity(tokens, tokens[before], dim=-1)  # (T, N)
    difference = difference.masked_fill((index % GROUP == 0)[:, None], NEW)
    kept = best(difference, counts).flatten().nonzero().squeeze(1)
    return TokenMap.select(kept, frames * per_frame, scores=difference.flatten())
