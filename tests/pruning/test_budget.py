"""Ratios to counts, and refusals that name the smallest ratio."""

from __future__ import annotations

import pickle

import pytest

from pruning.budget import Budget, BudgetError, before_llm, one_stage, scaled_layer, two_stage


def test_a_budget_is_a_staircase() -> None:
    budget = Budget(before=10, inner=((2, 6), (3, 1)))
    assert budget.per_layer(5) == [10, 10, 6, 1, 1]
    assert budget.average(5) == 28 / 5


@pytest.mark.parametrize(
    ("reference", "depth", "scaled"),
    [
        (2, 32, 2),
        (2, 6, 1),
        (2, 24, 2),
        (8, 12, 3),
        (16, 28, 14),
        (16, 6, 3),
        (31, 2, 1),
        (1, 4, 1),
    ],
)
def test_a_pruning_layer_scales_with_depth(reference: int, depth: int, scaled: int) -> None:
    assert scaled_layer(reference, depth) == scaled


def test_one_stage_pays_for_its_first_layers() -> None:
    budget = one_stage("FastV", 576, 32, 1 / 9, 2)
    assert budget.inner == ((2, 30),)
    assert budget.average(32) == pytest.approx(64, abs=0.5)


def test_one_stage_may_start_from_fewer() -> None:
    budget = one_stage("Any", 100, 10, 0.3, 5, before=50)
    assert budget == Budget(50, ((5, 10),))
    assert one_stage("Any", 100, 10, 0.6, 5, before=50) == Budget(50, ((5, 50),))


def test_two_stages_keep_their_proportion() -> None:
    budget = two_stage("Nüwa", 576, 32, 1 / 9, 16, 7)
    assert budget == Budget(112, ((16, 16),))


def test_two_stages_start_from_everything_when_that_is_too_little() -> None:
    budget = two_stage("Nüwa", 100, 10, 0.8, 5, 7)
    assert budget == Budget(100, ((5, 60),))


@pytest.mark.parametrize("ratio", [0.02, 0.05, 0.13, 0.25, 0.41, 0.57, 0.58, 0.75, 0.99, 1.0])
@pytest.mark.parametrize("num_layers", [2, 5, 32])
@pytest.mark.parametrize("stage_ratio", [1.0, 7.0])
def test_two_stages_meet_any_ratio(ratio: float, num_layers: int, stage_ratio: float) -> None:
    layer = scaled_layer(16, num_layers)
    budget = two_stage("Nüwa", 196, num_layers, ratio, layer, stage_ratio)
    counts = budget.per_layer(num_layers)
    assert counts == sorted(counts, reverse=True)
    assert budget.average(num_layers) == pytest.approx(ratio * 196, abs=1)


@pytest.mark.parametrize(
    "resolve",
    [
        lambda ratio: before_llm("M", 144, ratio, smallest=2),
        lambda ratio: one_stage("M", 144, 6, ratio, 1),
        lambda ratio: two_stage("M", 144, 6, ratio, 3, 7),
    ],
)
def test_a_refusal_names_a_ratio_that_is_accepted(resolve) -> None:
    with pytest.raises(BudgetError) as refusal:
        resolve(0.001)
    assert resolve(refusal.value.smallest).average(6) >= 1
    shown = float(str(refusal.value).split("here is ")[1].split("%")[0]) / 100
    resolve(shown)
    assert shown == pytest.approx(refusal.value.smallest, abs=0.001)


def test_a_refusal_is_one_sentence_a_person_can_act_on() -> None:
    with pytest.raises(BudgetError) as refusal:
        one_stage("FastV", 576, 6, 0.1, 1)
    assert str(refusal.value) == (
        "FastV prunes before layer 1 of 6 and keeps 576 tokens until then: "
        "its smallest retention ratio here is 16.9 %, and 10.0 % came. Ask for more."
    )


def test_a_refusal_survives_the_way_to_another_process() -> None:
    with pytest.raises(BudgetError) as refusal:
        before_llm("Random", 16, 0.01)
    copy = pickle.loads(pickle.dumps(refusal.value))
    assert (str(copy), copy.smallest) == (str(refusal.value), 1 / 16)
