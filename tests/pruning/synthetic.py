"""Visual tokens and LLM layers that no model made: random numbers in the shapes methods get."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs
from pruning.budget import Budget
from pruning.step import TraceStep
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from pruning.trace import TokenTrace
from tests.cases import GAZE

WIDTH, HEADS, QUESTION = 8, 2, 5


@dataclass(frozen=True)
class Picture:
    """The shape of what is looked at, and whether its encoder has a [CLS]."""

    id: str
    grid: tuple[int, int, int]
    has_cls: bool = False


PICTURES = (
    Picture("square", (1, 8, 8), has_cls=True),
    Picture("wide and odd", (1, 5, 9)),
    Picture("tall", (1, 12, 4), has_cls=True),
    Picture("panorama", (1, 2, 12)),
    Picture("clip", (2, 5, 6)),
    Picture("long clip", (9, 3, 4)),
)


def random(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def visual_tokens(
    picture: Picture, needs: Needs, seed: int = 0, dtype: torch.dtype = torch.float32
) -> VisualTokens:
    """What an adapter would give for `needs`, and nothing else."""
    placeless = int(picture.has_cls and "cls" in needs.encoder)
    layout = TokenLayout.regular(*picture.grid, placeless=placeless)
    n, (frames, *_) = len(layout), picture.grid
    signals = {
        "attention": random(n, seed=seed + 1).softmax(0),
        "keys": random(n, HEADS * WIDTH, seed=seed + 2, dtype=dtype),
        "shallow_attention": random(n, seed=seed + 9).softmax(0),
        "last_attention": random(n, seed=seed + 6).softmax(0),
        "last_keys": random(n, HEADS * WIDTH, seed=seed + 7, dtype=dtype),
        "frames": random(frames, WIDTH, seed=seed + 3, dtype=dtype),
        "text": random(QUESTION, WIDTH, seed=seed + 4, dtype=dtype),
        "gaze": torch.tensor(GAZE),
        "events": random(n, seed=seed + 10).clamp_min(0),
    }
    asked = needs.encoder | needs.request
    needed = {name: signals[name] for name in signals if name in asked}
    if needs.encoder_received is not None:
        needed["received"] = random(3, n, seed=seed + 8).softmax(-1)
    if needs.encoder_span is not None:
        needed["hidden"] = random(3, n, WIDTH, seed=seed + 5, dtype=dtype)
    features = random(n, WIDTH, seed=seed, dtype=dtype)
    return VisualTokens(features, layout, key_heads=HEADS, **needed)


def layer_view(
    layer: int,
    stage: int,
    anchors: Tensor,
    layout: TokenLayout,
    needs: Needs,
    dtype: torch.dtype = torch.float32,
) -> LayerView:
    """What the engine would show of the rows alive before `layer`."""
    rows, seed = len(anchors), 100 + layer
    num_queries = {"none": 0, "last": 1, "last3": 3, "text": QUESTION}[needs.llm_queries]
    signals = {
        "attention": random(HEADS, num_queries, rows, seed=seed).softmax(-1),
        "ahead": random(HEADS, num_queries, rows, seed=seed + 6).softmax(-1),
        "hidden": random(rows, WIDTH, seed=seed + 1, dtype=dtype),
        "text": random(QUESTION, WIDTH, seed=seed + 2, dtype=dtype),
        "inputs": random(layout.num_placed, WIDTH, seed=7, dtype=dtype),
        "text_inputs": random(QUESTION, WIDTH, seed=8, dtype=dtype),
        "previous": random(rows, WIDTH, seed=seed + 14, dtype=dtype),
        "normed": random(rows, WIDTH, seed=seed + 15, dtype=dtype),
        "text_normed": random(QUESTION, WIDTH, seed=seed + 16, dtype=dtype),
        "text_keys": random(HEADS, QUESTION, WIDTH, seed=seed + 17, dtype=dtype),
        "queries": random(HEADS, num_queries, WIDTH, seed=seed + 3, dtype=dtype),
        "keys": random(HEADS, rows, WIDTH, seed=seed + 4, dtype=dtype),
        "values": random(HEADS, rows, WIDTH, seed=seed + 5, dtype=dtype),
        "text_values": random(HEADS, QUESTION, WIDTH, seed=seed + 9, dtype=dtype),
        "context_values": random(HEADS, 3, WIDTH, seed=seed + 10, dtype=dtype),
        "rotary": random(2, rows, WIDTH, seed=seed + 11, dtype=dtype),
        "query_rotary": random(2, num_queries, WIDTH, seed=seed + 12, dtype=dtype),
        "guidance": random(rows, seed=seed + 13).exp(),
    }
    needed = {name: signals[name] for name in signals if name in needs.llm}
    return LayerView(layer, stage, anchors, layout, **needed)


@dataclass(frozen=True, eq=False)
class Run:
    """Every map of a method on a picture, in order; the first ran before the LLM."""

    visual: VisualTokens
    budget: Budget
    maps: tuple[tuple[int, TokenMap], ...]
    num_layers: int

    @property
    def trace(self) -> TokenTrace:
        steps = tuple(TraceStep.of(layer, token_map) for layer, token_map in self.maps)
        return TokenTrace(self.visual.layout, steps, self.num_layers)


def run(
    method: CompressionMethod,
    picture: Picture,
    num_layers: int = 8,
    dtype: torch.dtype = torch.float32,
) -> Run:
    """The method through both of its stages, as the engine would drive it."""
    visual = visual_tokens(picture, method.needs, dtype=dtype)
    budget = method.budget_for(visual.layout, num_layers)
    token_map = method.compress(visual, budget.before)
    maps, anchors = [(0, token_map)], token_map.anchors
    for stage, (layer, keep) in enumerate(budget.inner, budget.first_stage):
        view = layer_view(layer, stage, anchors, visual.layout, method.at(stage).needs, dtype)
        token_map = method.prune(view, keep)
        maps.append((layer, token_map))
        anchors = anchors[token_map.anchors]
    return Run(visual, budget, tuple(maps), num_layers)
