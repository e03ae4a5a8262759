"""VScan: keeps tokens by shallow and deep encoder attention, then by the last text token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, Positions, PositionStrategy, Seam, knob
from pruning.budget import Budget, Target, scaled_layer, two_stage
from pruning.ops.attention import received
from pruning.ops.grid import grid_of
from pruning.ops.join import frame_by_frame
from pruning.ops.select import best, rank_within, top
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens


@dataclass(frozen=True)
class VScan(CompressionMethod):
    """Keep tokens by shallow attention in every window, by deep attention anywhere; merge the rest.

    The rest is averaged into the most similar survivor. Halfway through the LLM, the tokens that
    the last token of the prompt will attend to are kept. In a clip, each frame is compressed alone.

    Paper      Zhang et al., TMLR 2026, arXiv 2505.22654
    Code       Tencent/SelfEvolvingAgent @ a82450e, VScan/llava/model/llava_arch.py
    Where      before the LLM, on projected tokens, by attention of the encoder, then inside it,
               by the attention of the next layer, computed in advance
    Positions  PERC; PESP in "qwen2.5-vl"
    Differs    what equal shares of the windows leave over is chosen by deep attention; the release
               keeps fewer tokens. Layers scale with depth. Without [CLS], received attention is the
               score. In "qwen2.5-vl", windows have 4 × 4 tokens and a limit each, as released; its
               attention inside the LLM has rotary embedding, which the release leaves out
    """

    name = "vscan"
    title = "VScan"
    summary = (
        "Keeps what shallow and deep encoder layers attend to; then the last text token chooses."
    )
    paper = "https://arxiv.org/abs/2505.22654"
    code = "https://github.com/Tencent/SelfEvolvingAgent"
    seam = Seam.PROJECTED
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC, inner=PositionStrategy.PERC)
    PRESETS: ClassVar = {"llava": {}, "qwen2.5-vl": {"windows": "capped", "numbering": "pesp"}}

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    local_share: float = knob(0.5, 0.0, 1.0, help="of the survivors before the LLM")
    windows: str = knob(
        "equal", choices=("equal", "capped"), help="16 with equal counts, or of 4 × 4 with a limit"
    )
    layer: int = knob(16, 1, 31, help="pruning layer, in a 32-layer LLM")
    stage_ratio: float = knob(3.0, 1.0, 16.0, help="survivors before the layer per one after it")

    @property
    def needs(self) -> Needs:
        encoder = frozenset({"attention", "shallow_attention"})
        return Needs(encoder=encoder, llm_queries="last", llm=frozenset({"ahead"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return two_stage(target, scaled_layer(self.layer, num_layers), self.stage_ratio)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.attention is not None and visual.shallow_attention is not None
        deep, shallow = visual.attention.float(), visual.shallow_attention.float()  # (N,)
        window = self.window(*grid_of(visual.layout, self.title)[1:]).to(deep.device)  # (n,)

        def scan(frame: slice, count: int) -> TokenMap:
            local = self.local(shallow[frame], window, count)  # (n,) bool
            wanted = count - int(local.sum())
            rest = deep[frame].masked_fill(local, -torch.inf)  # (n,)
            kept = local.index_fill(0, top(rest, wanted), True)
            return merged(visual.features[frame], kept, local)

        return frame_by_frame(visual.layout, keep, scan, deep)

    def window(self, rows: int, cols: int) -> Tensor:
        """(rows · cols,) int64 window of each token of a frame."""
        down, across = (self.cut(length) for length in (rows, cols))
        return (down[:, None] * (int(across.max()) + 1) + across).flatten()

    def cut(self, length: int) -> Tensor:
        """(length,) int64 part of each token of a side; the last part of 4 includes the rest."""
        place = torch.arange(length)
        if self.windows == "equal":
            return place * min(4, length) // length
        return (place // 4).clamp(max=max(length // 4, 1) - 1)

    def local(self, shallow: Tensor, window: Tensor, keep: int) -> Tensor:
        """(n,) bool: the tokens that shallow attention chooses, in every window."""
        share = self.local_share * keep
        each = share / (int(window.max()) + 1)
        most = int(each) if self.windows == "equal" else math.ceil(each)
        offered = rank_within(window, shallow) < most
        chosen = top(shallow.masked_fill(~offered, -torch.inf), min(int(share), int(offered.sum())))
        return torch.zeros_like(offered).index_fill(0, chosen, True)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.ahead is not None
        return best(received(view.ahead), keep)


def merged(features: Tensor, kept: Tensor, local: Tensor) -> TokenMap:
    """One frame (n, D): the tokens `kept` (n,), each averaged with those most similar to it."""
    anchors = kept.nonzero().squeeze(1)  # (K,)
    if not len(anchors):  # a frame of a clip without a share of the budget
        return TokenMap.select(anchors, len(features), tags={"local": kept[:0], "global": kept[:0]})
    nearest = cosine(features, features[anchors]).argmax(dim=1)  # (n,)
    owner = nearest.index_copy(0, anchors, torch.arange(len(anchors), device=kept.device))
    tags = {"local": local[anchors], "global": ~local[anchors]}
    return TokenMap.merge(anchors, owner, tags=tags)
