"""The methods that prune inside the LLM against stored outputs of their official code."""

from __future__ import annotations

import pytest
import torch

from pruning.methods import create
from pruning.methods.feather import even_grid
from pruning.methods.sparsevlm import raters
from pruning.ops.attention import attend, rotary_bias
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, TokenLayout
from tests.pruning.golden import assert_as_official, over, stages
from tests.pruning.synthetic import random


def line(n: int) -> TokenLayout:
    return TokenLayout.regular(1, 1, n)


@over("sparsevlm")
def test_sparsevlm_chooses_the_official_raters(case) -> None:
    assert raters(case.features, case.text).tolist() == case.expect_raters.tolist()


@over("sparsevlm")
def test_sparsevlm_keeps_and_recycles_as_the_official_one(case) -> None:
    method = create("sparsevlm")
    assert method.recycle_share == case.knobs["recycle_share"]
    assert method.cluster_share == case.knobs["cluster_share"]
    anchors = torch.arange(len(case.features))
    for index, stage in enumerate(stages(case)):
        view = LayerView(
            case.knobs["layers"][index] + 1,
            index,
            anchors,
            line(len(case.features)),
            hidden=stage["hidden"],
            attention=stage["attention"][None],
            inputs=case.features,
            text_inputs=case.text,
        )
        token_map = method.prune(view, len(stage["expect_values"]))
        selected = token_map.anchors[token_map.tags["selected"]]
        assert selected.tolist() == stage["expect_keep"].tolist()
        centres, expected = token_map.anchors[len(selected) :], stage["expect_cluster_anchors"]
        assert torch.equal(centres[expected >= 0], expected[expected >= 0])
        merged = token_map.cols[token_map.rows >= len(selected)].sort().values
        assert merged.tolist() == stage["expect_recycled"].tolist()
        assert_as_official(token_map.apply(stage["hidden"]), stage["expect_values"])
        anchors = anchors[token_map.anchors]


@pytest.mark.parametrize(
    ("rows", "total", "kept"),
    [
        *((576, 309, 300), (309, 204, 200), (204, 113, 110)),
        *((576, 312, 303), (312, 117, 110), (117, 39, 36)),
        *((576, 249, 238), (249, 55, 48), (55, 27, 26)),
        *((576, 82, 66), (82, 32, 30), (32, 18, 17)),
    ],
)
def test_sparsevlm_splits_its_tokens_as_the_official_lists(rows, total, kept) -> None:
    assert total - create("sparsevlm").clusters(rows, total) == kept


def test_the_bias_of_rotary_embedding_is_the_sum_of_cosines_of_distances() -> None:
    """g(m, n) = (2 / √d) Σ cos((m − n) θ), as SparseVLM+ has it."""
    theta = 10000 ** -(torch.arange(4) / 4)  # (d / 2,)
    ids = torch.tensor([3, 4, 9, 20])
    angles = (ids[:, None] * theta).repeat(1, 2)  # (S, d)
    tables = torch.stack([angles.cos(), angles.sin()])  # (2, S, d)
    distance = ids[2:, None] - ids[:2]  # (Q, V)
    expected = 2 / 8**0.5 * (distance[..., None] * theta).cos().sum(dim=-1)
    torch.testing.assert_close(rotary_bias(tables[:, 2:], tables[:, :2]), expected)


def test_sparsevlm_plus_takes_the_official_heads_without_the_bias() -> None:
    attention = random(32, 3, 6, seed=0).softmax(-1)
    tables = random(2, 9, 4, seed=1)
    inputs, text = random(6, 8, seed=2), random(3, 8, seed=3)
    view = LayerView(
        *(3, 0, torch.arange(6), line(6)),
        attention=attention,
        inputs=inputs,
        text_inputs=text,
        rotary=tables[:, :6],
        query_rotary=tables[:, 6:],
    )
    words = raters(inputs, text)
    assert 0 < len(words) < 3
    unbiased = attention[:, words] / rotary_bias(tables[:, 6:], tables[:, :6])[words]
    loudest = unbiased.sum(dim=(1, 2)).topk(14).indices
    expected = unbiased[loudest].mean(dim=(0, 1))
    torch.testing.assert_close(create("sparsevlm:plus").rate(view), expected)


@over("pyramiddrop")
def test_pyramiddrop_is_the_official_one(case) -> None:
    start, alive = case.knobs["visual_start"], torch.arange(case.knobs["visual_tokens"])
    for index, stage in enumerate(stages(case)):
        scale = stage["query"].shape[-1] ** -0.5
        ahead = attend(stage["query"][:, None], stage["keys"], scale)
        ahead = ahead[:, :, start : start + len(alive)]
        assert_as_official(ahead.mean(dim=0), stage["attention"])
        layout = line(case.knobs["visual_tokens"])
        view = LayerView(8 * (index + 1), index, alive, layout, ahead=ahead)
        token_map = create("pyramiddrop").prune(view, len(stage["expect_keep"]))
        assert token_map.is_selection
        assert token_map.anchors.tolist() == stage["expect_keep"].tolist()
        alive = alive[token_map.anchors]
        assert alive.tolist() == stage["expect_original"].tolist()


@over("feather")
def test_feather_is_the_official_one(case) -> None:
    side, stride = case.knobs["grid"], case.knobs["stride"]
    method = create("feather", stride=round(stride * 27 / side))
    alive, layout = torch.arange(side * side), TokenLayout.regular(1, side, side)
    for index, stage in enumerate(stages(case)):
        queries, keys = stage["query"][:, None], stage["keys"]
        view = LayerView(8 * (index + 1), index, alive, layout, queries=queries, keys=keys)
        token_map = method.prune(view, len(stage["expect_keep"]))
        assert token_map.anchors.tolist() == stage["expect_keep"].tolist()
        assert_as_official(token_map.scores[None], stage["attention"])
        alive = alive[token_map.anchors]
        assert alive.tolist() == stage["expect_original"].tolist()


@over("feather")
def test_the_even_grid_of_feather_survives_its_first_stage(case) -> None:
    side, stride = case.knobs["grid"], case.knobs["stride"]
    even = even_grid((1, side, side), stride, side * side, torch.device("cpu"))
    expected = [
        side * row + col for row in range(0, side, stride) for col in range(0, side, stride)
    ]
    assert even.nonzero().squeeze(1).tolist() == expected
    assert set(expected) <= set(case.stage0_expect_original.tolist())


def ivcprune(case) -> TokenMap:
    """With as many of each kind as the official code takes of N."""
    start, n = case.knobs["visual_start"], case.knobs["visual_tokens"]
    after, keep = start + n, len(case.expect_anchors)
    method = create(
        "ivcprune",
        seed_share=len(case.expect_seeds) / keep,
        position_share=round(case.knobs["position_share"] * n) / keep,
    )
    view = LayerView(
        *(16, 0, torch.arange(n), line(n)),
        values=case.values[:, start:after],
        text_values=case.values[:, after:],
        context_values=case.values[:, :start],
        rotary=torch.stack([case.cos, case.sin]),
    )
    seeds, _ = method.foreground(view, keep)
    assert seeds.tolist() == case.expect_seeds.tolist()
    return method.prune(view, keep)


@over("ivc_prune")
def test_ivcprune_is_the_official_one(case) -> None:
    token_map = ivcprune(case)
    assert token_map.is_selection
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    coordinates = token_map.anchors[token_map.tags["coordinate"]]
    assert coordinates.tolist() == case.expect_position.tolist()
    best = token_map.scores.topk(len(case.expect_foreground)).indices.sort().values
    assert best.tolist() == case.expect_foreground.tolist()
