"""HERO against its official code, and its budgets of crops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pruning.methods import create
from pruning.methods.hero import shares
from pruning.ops.select import best_of_each
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.golden import over
from tests.pruning.synthetic import random

SIDE = 4


def crops(*features: torch.Tensor, question: torch.Tensor) -> VisualTokens:
    """A whole picture and its crops, each of 4 × 4 equal tokens."""
    whole = TokenLayout.regular(1, 1, SIDE**2 * len(features))
    view = torch.arange(len(features)).repeat_interleave(SIDE**2)
    n = len(view)
    return VisualTokens(
        features=torch.stack(features)[view],
        layout=replace(whole, grid=None, view=view.numpy()),
        attention=random(n, seed=1).softmax(0),
        shallow_attention=random(n, seed=2).softmax(0),
        text=question[None],
    )


def kept_of(visual: VisualTokens, keep: int, **knobs: float) -> list[int]:
    """Survivors of each view."""
    token_map = create("hero", **knobs).compress(visual, keep)
    assert len(token_map) == keep
    view = torch.from_numpy(visual.layout.view)
    return view[token_map.anchors].bincount(minlength=int(view.max()) + 1).tolist()


@over("hero")
def test_hero_weighs_crops_as_the_official_one_and_loses_no_token_of_the_budget(case) -> None:
    knobs = case.knobs
    weights = shares(
        case.expect_valid, case.similarity, case.relevance, knobs["alpha"], knobs["area_weight"]
    )
    torch.testing.assert_close(weights.float(), case.expect_weights, atol=1e-6, rtol=0)
    total = int(len(weights) * knobs["side"] ** 2 * knobs["ratio"])
    floors = torch.minimum((weights * total).long(), case.expect_valid)
    assert floors.tolist() == case.expect_budget.tolist()


@over("hero")
def test_hero_keeps_the_tokens_of_the_official_one(case) -> None:
    (across, down), side = case.knobs["tiles"], case.knobs["side"]
    number = torch.arange(across * down * side**2).view(down, across, side, side)
    raster = number.transpose(1, 2).reshape(down * side, across * side)
    width, height = case.knobs["size"]
    scale = min(across * side / width, down * side / height)
    rows, cols = int(height * scale), int(width * scale)
    top, left = (down * side - rows) // 2, (across * side - cols) // 2
    valid = raster[top : top + rows, left : left + cols].flatten().sort().values
    view = torch.cat([torch.zeros(side**2, dtype=torch.int64), 1 + valid // side**2])
    assert view.bincount()[1:].tolist() == case.expect_valid.tolist()
    scores = torch.cat([case.global_scores, case.tile_scores.flatten()[valid]])
    counts = torch.cat([torch.tensor([len(case.expect_global)]), case.expect_budget])
    kept = torch.cat([torch.arange(side**2), side**2 + valid])[best_of_each(view, scores, counts)]
    order = case.expect_order[case.expect_order >= 0]
    assert kept.tolist() == order.sort().values.tolist()


def test_equal_crops_get_equal_budgets() -> None:
    same = random(8, seed=0)
    assert kept_of(crops(same, same, same, question=same), 24) == [8, 8, 8]


def test_the_crop_that_is_like_the_question_gets_more() -> None:
    whole, plain, asked = (random(8, seed=seed) for seed in (0, 1, 2))
    visual = crops(whole, plain, asked, plain, question=asked)
    assert kept_of(visual, 16, alpha=0.0)[2] > 2 * kept_of(visual, 16, alpha=0.0)[1]
    others = crops(whole, plain, asked, plain, question=plain)
    assert kept_of(visual, 16, alpha=1.0) == kept_of(others, 16, alpha=1.0)


def test_what_a_full_crop_cannot_hold_goes_to_the_others() -> None:
    whole, asked = random(8, seed=0), random(8, seed=2)
    visual = crops(whole, -asked, asked, question=asked)
    knobs = {"alpha": 0.0, "area_share": 0.0, "temperature": 0.01}
    assert kept_of(visual, 12, **knobs) == [4, 0, 8]
    assert kept_of(visual, 36, **knobs)[2] == SIDE**2


def test_one_view_keeps_what_the_deep_layer_attends_to() -> None:
    visual = crops(random(8, seed=0), question=random(8, seed=3))
    kept = create("hero").compress(visual, 5).anchors
    assert kept.tolist() == visual.attention.topk(5).indices.sort().values.tolist()
    assert kept.tolist() == create("fastervlm").compress(visual, 5).anchors.tolist()


@pytest.mark.parametrize("length", [3, 5])
def test_a_layout_refuses_views_of_another_length(length: int) -> None:
    layout = TokenLayout.regular(1, 2, 2)
    with pytest.raises(ValueError, match="view"):
        replace(layout, view=torch.zeros(length, dtype=torch.int64).numpy())
