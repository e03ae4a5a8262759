"""PruMerge, HoloV and HIVTP against stored outputs of their official code."""

from __future__ import annotations

from math import isqrt

import pytest
import torch

from pruning.methods import create
from pruning.methods.prumerge import count_outliers
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.golden import assert_as_official, cases, over


def prumerge(name: str, case) -> TokenMap:
    side = isqrt(len(case.features))
    layout = TokenLayout.regular(1, side, side)
    method = create(name, neighbours=case.knobs["neighbours"])
    visual = VisualTokens(case.features, layout, last_attention=case.attention, last_keys=case.keys)
    return method.compress(visual, len(case.expect_anchors))


@over("prumerge")
def test_prumerge_is_the_official_one(case) -> None:
    token_map = prumerge("prumerge", case)
    assert token_map.anchors.tolist() == [*case.expect_kept.tolist(), -1]
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert_as_official(token_map.apply(case.features), case.expect_values)


@over("prumerge_plus")
def test_prumerge_plus_is_the_official_one_for_the_same_count(case) -> None:
    token_map = prumerge("prumerge-plus", case)
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert_as_official(token_map.apply(case.features), case.expect_values)


@over("prumerge", where=lambda case: case.knobs["fixed_ratio"] is None)
def test_outliers_are_counted_as_the_official_ones(case) -> None:
    assert count_outliers(case.attention) == len(case.expect_kept)


def holov(name: str, case) -> TokenMap:
    layout = TokenLayout.regular(1, 1, len(case.features))
    knobs = {knob: case.knobs[knob] for knob in ("chunks", "alpha")}
    visual = VisualTokens(case.features, layout, case.attention)
    return create(name, **knobs).compress(visual, case.knobs["tokens"])


@over("holov")
def test_holov_is_the_official_one_with_its_zeros(case) -> None:
    token_map, padding = holov("holov:official", case), int(case.expect_padding)
    assert token_map.anchors.tolist() == case.expect_anchors.tolist() + [-1] * padding
    values = token_map.apply(case.features)
    assert_as_official(values[: len(values) - padding], case.expect_values)
    assert (values[len(values) - padding :] == 0).all()


@over("holov")
def test_holov_with_shared_overflow_keeps_the_official_tokens_and_no_zeros(case) -> None:
    anchors = holov("holov", case).anchors.tolist()
    assert set(case.expect_anchors.tolist()) <= set(anchors)
    assert min(anchors) >= 0 and len(set(anchors)) == case.knobs["tokens"]
    if not case.expect_padding:
        assert anchors == case.expect_anchors.tolist()


def test_some_official_outputs_of_holov_are_padded() -> None:
    assert sorted(int(case.expect_padding) for case in cases("holov")) == [0, 0, 13, 14]


@over("hivtp")
def test_hivtp_at_a_half_is_the_official_one(case) -> None:
    side = case.knobs["grid"]
    layout = TokenLayout.regular(1, side, side)
    visual = VisualTokens(case.features, layout, received=case.attention)
    method = create("hivtp", retention_ratio=0.5)
    token_map = method.compress(visual, method.budget(len(visual), 32).before)
    assert_as_official(token_map.scores, case.expect_score)
    expected = case.expect_anchors.tolist()
    made_up = sorted(set(token_map.anchors.tolist()) - set(expected))  # for windows without a rest
    assert len(made_up) == len(token_map) - len(expected)
    official = ~torch.isin(token_map.anchors, torch.tensor(made_up))
    assert token_map.anchors[official].tolist() == expected
    assert_as_official(token_map.apply(case.features)[official], case.expect_values)
    assert int(token_map.tags["global"].sum()) == len(token_map) // 2


@pytest.mark.parametrize(("ratio", "tokens"), [(1 / 3, 192), (2 / 9, 128), (1 / 9, 64)])
@pytest.mark.parametrize("name", ["prumerge", "prumerge-plus", "holov", "hivtp"])
def test_the_published_budgets_are_met(name: str, ratio: float, tokens: int) -> None:
    assert create(name, retention_ratio=ratio).budget(576, 32).per_layer(32) == [tokens] * 32
