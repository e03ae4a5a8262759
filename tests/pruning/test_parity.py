"""The methods against stored outputs of their official code."""

from __future__ import annotations

from math import hypot

import pytest
import torch

from pruning.methods import create
from pruning.methods.nuwa import gather
from pruning.ops.grid import proximity
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from tests.pruning.golden import assert_as_official, over


def visionzip(case, features: torch.Tensor, keys: torch.Tensor, has_cls: bool) -> TokenMap:
    n = len(case.attention)
    attention = torch.cat([torch.zeros(int(has_cls)), case.attention])  # what [CLS] gives itself: 0
    layout = TokenLayout.regular(1, 1, n, placeless=int(has_cls))
    keep = case.knobs["dominant"] + case.knobs["contextual"] - (not has_cls)
    method = create("visionzip", contextual_share=(case.knobs["contextual"] + 0.5) / keep)
    return method.compress(VisualTokens(features, layout, attention, keys), keep)


@over("visionzip")
def test_visionzip_is_the_official_one(case) -> None:
    token_map = visionzip(case, case.features, case.keys, has_cls=True)
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert token_map.anchors[token_map.tags["dominant"]].tolist() == case.expect_dominant.tolist()
    assert token_map.anchors[token_map.tags["contextual"]].tolist() == case.expect_targets.tolist()
    assert_as_official(token_map.apply(case.features), case.expect_values)


@over("visionzip")
def test_visionzip_without_cls_only_lacks_its_row(case) -> None:
    features = case.features[1:]
    token_map = visionzip(case, features, case.keys[1:], has_cls=False)
    assert token_map.anchors.tolist() == (case.expect_anchors[1:] - 1).tolist()
    assert_as_official(token_map.apply(features), case.expect_values[1:])


@over("visionzip")
def test_visionzip_averages_the_keys_of_the_heads(case) -> None:
    spread = torch.randn(case.keys.shape, generator=torch.Generator().manual_seed(0))
    heads = torch.cat([case.keys + spread, case.keys - spread], dim=1)  # their mean: the keys
    layout = TokenLayout.regular(1, 1, len(case.attention), placeless=1)
    attention = torch.cat([torch.zeros(1), case.attention])
    visual = VisualTokens(case.features, layout, attention, heads, key_heads=2)
    keep = len(case.expect_anchors)
    method = create("visionzip", contextual_share=(case.knobs["contextual"] + 0.5) / keep)
    assert_as_official(method.compress(visual, keep).apply(case.features), case.expect_values)


def nuwa_reach(case) -> float:
    rows, cols = case.knobs["grid"]
    return case.knobs["distance"] / hypot(rows - 1, cols - 1)


def has_odd_grid(case) -> bool:
    """An odd last row or column is a candidate here, and never is there."""
    return any(side % 2 for side in case.knobs["grid"])


@over("nuwa_stage1", differs=has_odd_grid)
def test_nuwa_spreads_and_gathers_as_the_official_one(case) -> None:
    rows, cols = case.knobs["grid"]
    knobs = {name: case.knobs[name] for name in ("per_cell", "pillar_quantile", "self_weight")}
    method = create("nuwa:official", reach=nuwa_reach(case), **knobs)
    layout = TokenLayout.regular(1, rows, cols)
    hidden = case.similarity[None]
    visual = VisualTokens(case.features, layout, case.attention, hidden=hidden)
    token_map = method.compress(visual, case.knobs["tokens"])
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert token_map.tags["pillar"].tolist() == case.expect_is_pillar.tolist()
    assert token_map.tags["collector"].tolist() == (~case.expect_is_pillar).tolist()
    assert_as_official(token_map.apply(case.features), case.expect_values)


@over("nuwa_stage1")
def test_nuwa_gathers_as_the_official_one_on_any_grid(case) -> None:
    near = proximity((1, *case.knobs["grid"]), case.expect_anchors, nuwa_reach(case))
    weights = gather(case.similarity, case.expect_anchors, case.expect_is_pillar, near, heavy=True)
    assert_as_official(weights @ case.features, case.expect_values)


@over("nuwa_stage1", where=lambda case: hasattr(case, "expect_proximity"))
def test_nuwa_proximity_is_the_official_one(case) -> None:
    everyone = torch.arange(len(case.attention))
    near = proximity((1, *case.knobs["grid"]), everyone, nuwa_reach(case))
    assert_as_official(near, case.expect_proximity)


@over("nuwa_stage2")
def test_nuwa_drops_inside_the_llm_as_the_official_one(case) -> None:
    layout = TokenLayout.regular(1, 24, 24)
    attention = case.attention[:, None]  # (H, 1, V)
    view = LayerView(case.knobs["layer"], 0, case.anchors, layout, attention=attention)
    token_map = create("nuwa").prune(view, case.knobs["keep"])
    assert token_map.anchors.tolist() == case.expect_keep.tolist()
    assert case.anchors[token_map.anchors].tolist() == case.expect_original.tolist()


@over("fastv")
def test_fastv_is_the_official_one(case) -> None:
    start, n = case.knobs["visual_start"], case.knobs["visual_tokens"]
    attention = case.attention[:, None, start : start + n]  # (H, 1, N)
    layout = TokenLayout.regular(1, 1, n)
    view = LayerView(case.knobs["layer"], 0, torch.arange(n), layout, attention=attention)
    token_map = create("fastv").prune(view, case.knobs["keep"])
    assert token_map.is_selection
    assert token_map.anchors.tolist() == case.expect_keep.tolist()


def test_nuwa_at_192_tokens_spends_them_as_the_official_table() -> None:
    budget = create("nuwa", retention_ratio=1 / 3).budget(576, 32)
    assert (budget.before, budget.inner) == (336, ((16, 48),))


@pytest.mark.parametrize(("ratio", "after"), [(2 / 9, 98), (1 / 9, 30)])
def test_fastv_spends_its_tokens_as_reported(ratio: float, after: int) -> None:
    assert create("fastv", retention_ratio=ratio).budget(576, 32).inner == ((2, after),)


@pytest.mark.parametrize(
    ("ratio", "dominant", "contextual"), [(1 / 9, 54, 10), (2 / 9, 108, 20), (1 / 3, 162, 30)]
)
def test_visionzip_splits_its_tokens_as_the_official_settings(ratio, dominant, contextual) -> None:
    method = create("visionzip", retention_ratio=ratio)
    layout = TokenLayout.regular(1, 24, 24, placeless=1)
    visual = VisualTokens(torch.rand(577, 4), layout, torch.rand(577), torch.rand(577, 4))
    token_map = method.compress(visual, method.budget(576, 32).before)
    assert int(token_map.tags["dominant"].sum()) == dominant
    assert int(token_map.tags["contextual"].sum()) == contextual
    assert int(token_map.anchors[0]) == 0  # [CLS] comes first
