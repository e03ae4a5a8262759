"""FrameFusion: merges tokens that repeat over time in the LLM's first layers, then prunes once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from pruning.base import CompressionMethod, Needs, Seam, knob
from pruning.budget import Budget, Target, scaled_layers, staged
from pruning.ops.attention import received
from pruning.ops.grid import grid_of
from pruning.ops.select import best, top
from pruning.ops.tree import trees
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens

DEPTH = 28  # layers of the LLM to which LAYERS refer
LAYERS = (1, 2)  # merging, then pruning
APART = 3.0  # more than two cosines differ


@dataclass(frozen=True)
class FrameFusion(CompressionMethod):
    """Merge tokens into the token before at their place, layer by layer; then prune by attention.

    A run of similar tokens becomes its mean, at the place of the first. After the last merge, the
    tokens that the last text token attends to least are dropped, once.

    Paper      FrameFusion, ICCV 2025, arXiv 2501.01986
    Code       thu-nics/FrameFusion @ fbec1d2, framefusion/main.py
    Where      before the LLM, on projected tokens, then before its layers 1 and 2 of 28
    Positions  PESP
    Differs    counts follow from the ratio and `stage_ratio`. The release merges all tokens above a
               cosine of 0.6, in as many layers as that takes, and prunes to the mean cost that it
               promises. It merges between attention and MLP of a layer; here, before the layer. A
               count below one token a place merges neighbouring places
    """

    name = "framefusion"
    title = "FrameFusion"
    summary = "Merges repeated tokens over time in the first layers, then drops unattended ones."
    paper = "https://arxiv.org/abs/2501.01986"
    code = "https://github.com/thu-nics/FrameFusion"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True

    retention_ratio: float = knob(0.3, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    stage_ratio: float = knob(2.0, 1.0, 16.0, help="tokens before the LLM per one after pruning")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries="last", llm=frozenset({"hidden", "attention"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        """Counts in equal proportions: before the LLM, after the second merge, after pruning."""
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        layers = (0, *scaled_layers(LAYERS, num_layers, DEPTH))
        stages = staged(target, layers, (self.stage_ratio, math.sqrt(self.stage_ratio), 1))
        if not stages.inner or stages.first_stage:  # all tokens enter the LLM
            return replace(stages, first_stage=max(0, stages.first_stage - 1))
        (_, before), *inner = stages.inner
        return Budget(before, tuple(inner))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        grid_of(visual.layout, self.title)
        every = torch.arange(len(visual), device=visual.features.device)
        return merge_over_time(visual.features, *places(every, visual), keep)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.hidden is not None and view.attention is not None
        if view.stage == 0:
            return merge_over_time(view.hidden, *places(view.anchors, view), keep)
        return best(received(view.attention), keep)


def places(anchors: Tensor, tokens: VisualTokens | LayerView) -> tuple[Tensor, Tensor]:
    """Place in its frame, and frame, (V,) of each anchor; placeless: the first."""
    grid = grid_of(tokens.layout, FrameFusion.title)
    per_frame, anchors = grid[1] * grid[2], anchors.clamp_min(0)
    return anchors % per_frame, anchors // per_frame


def merge_over_time(tokens: Tensor, place: Tensor, frame: Tensor, keep: int) -> TokenMap:
    """Merge the tokens (V, D) most similar to the token before at their place, until `keep` remain.

    Args:
        tokens: (V, D).
        place: (V,) int64 place of each token in its frame.
        frame: (V,) int64.
        keep: number of survivors.
    """
    order = frame.argsort(stable=True)  # (V,)
    order = order[place[order].argsort(stable=True)]  # place by place, in time
    ordered = tokens[order].float()
    similarity = cosine_similarity(ordered[1:], ordered[:-1], dim=1)  # (V − 1,)
    similarity = similarity - APART * (place[order].diff() != 0)  # the place before: last of all
    merged = order[1:][top(similarity, len(tokens) - keep)]
    parent = torch.zeros_like(order)
    parent[order[1:]] = order[:-1]
    child = torch.zeros_like(order, dtype=torch.bool).index_fill(0, merged, True)
    forest = trees(child, parent, torch.ones_like(child), len(tokens), mean="paper")
    return forest.token_map(keep)
