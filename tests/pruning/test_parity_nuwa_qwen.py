"""Nüwa's preset for Qwen2.5-VL against stored outputs of the code released for that model."""

from __future__ import annotations

from math import ceil, hypot

import pytest
import torch

from pruning.methods import create
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from tests.pruning.golden import assert_as_official, cases, over

NAME = "nuwa:qwen2.5-vl"
KNOBS = ("per_cell", "pillar_quantile", "self_weight")


def reach(case) -> float:
    """There, a share of the diagonal of the grid padded to even sides; here, of the grid."""
    rows, cols = case.knobs["grid"]
    padded = hypot(rows + rows % 2 - 1, cols + cols % 2 - 1)
    return case.knobs["distance_share"] * padded / hypot(rows - 1, cols - 1)


@over("nuwa_stage1_qwen")
def test_nuwa_on_qwen_spreads_and_gathers_as_the_official_one(case) -> None:
    method = create(NAME, reach=reach(case))
    hidden, layout = case.similarity[None], TokenLayout.regular(1, *case.knobs["grid"])
    visual = VisualTokens(case.features, layout, case.attention, hidden=hidden)
    token_map = method.compress(visual, ceil(case.knobs["keep_ratio"] * len(visual)))
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert token_map.tags["pillar"].tolist() == case.expect_is_pillar.tolist()
    assert token_map.tags["collector"].tolist() == (~case.expect_is_pillar).tolist()
    assert_as_official(token_map.apply(case.features), case.expect_values)


def test_nuwa_on_qwen_is_set_as_released() -> None:
    method, quarter = create(NAME), next(cases("nuwa_stage1_qwen")).knobs
    assert quarter["average"] == method.retention_ratio
    assert quarter["distance_share"] == method.reach
    assert {name: quarter[name] for name in KNOBS} == {
        name: getattr(method, name) for name in KNOBS
    }


@over("nuwa_stage2_qwen")
def test_nuwa_on_qwen_drops_inside_the_llm_as_the_official_one(case) -> None:
    rows = case.attention.shape[2]
    layout = TokenLayout.regular(1, 1, rows)
    layer = case.knobs["layer"] + 1  # it prunes right after that layer
    view = LayerView(layer, 0, torch.arange(rows), layout, attention=case.attention)
    method, keep = create(NAME), int(case.knobs["keep_ratio"] * rows)
    assert method.needs.llm_queries == f"last{case.knobs['queries']}"
    assert method.prune(view, keep).anchors.tolist() == case.expect_keep.tolist()


@pytest.mark.parametrize(
    ("before", "after", "average"), [(0.35, 0.42, 0.256), (0.60, 0.66, 0.505), (0.85, 0.70, 0.732)]
)
def test_nuwa_on_qwen_spends_its_tokens_as_the_official_table(before, after, average) -> None:
    """Shares of stage 1 and of what it left; the average is what 15 of 28 layers make of them."""
    n = 1000
    method = create(NAME, retention_ratio=average, stage_ratio=1 / after)
    budget = method.budget(n, 28)
    ((layer, left),) = budget.inner
    assert layer == 15
    assert abs(budget.before - before * n) < 2 and abs(left - before * after * n) < 2


def test_nuwa_on_qwen_takes_the_largest_head_of_the_mean_of_three_queries() -> None:
    """The stored outputs do not tell this from a mean over heads, or a maximum over queries."""
    one_head = torch.tensor([[0.6, 0.0, 0.3, 0.1], [0.0, 0.0, 0.3, 0.7], [0.0, 0.9, 0.0, 0.1]])
    other_head = torch.tensor([[0.1, 0.0, 0.4, 0.5]] * 3)
    view = LayerView(
        *(15, 0, torch.arange(4), TokenLayout.regular(1, 1, 4)),
        attention=torch.stack([one_head, other_head]),  # (2, 3, 4)
    )
    token_map = create(NAME).prune(view, 1)
    torch.testing.assert_close(token_map.scores, torch.tensor([0.2, 0.3, 0.4, 0.5]))
    assert token_map.anchors.tolist() == [3]
