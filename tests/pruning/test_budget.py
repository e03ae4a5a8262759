"""Ratios to counts, and refusals that name the smallest ratio."""

from __future__ import annotations

import pickle

import pytest

from pruning.budget import (
    Averages,
    Budget,
    BudgetError,
    Target,
    at_least,
    before_llm,
    one_stage,
    scaled_layer,
    scaled_layers,
    staged,
    two_stage,
)
from pruning.methods import create


def test_a_budget_is_a_staircase() -> None:
    budget = Budget(before=10, inner=((2, 6), (3, 1)))
    assert budget.per_layer(5) == [10, 10, 6, 1, 1]
    assert budget.average(5) == 28 / 5


def test_a_budget_counts_processed_cached_and_remaining_tokens() -> None:
    budget = Budget(before=10, inner=((2, 6), (3, 1)))
    assert budget.in_cache(5) == budget.per_layer(5)
    assert budget.left_by(5) == [10, 6, 1, 1, 1]
    trimmed = Budget(before=10, inner=((3, 4),), trims_from=1)
    assert trimmed.per_layer(5) == [10, 10, 10, 4, 4]
    assert trimmed.in_cache(5) == [10, 4, 4, 4, 4]
    assert trimmed.averages(5) == Averages(processed=7.6, cached=5.2, handed_on=6.4)


@pytest.mark.parametrize(
    ("counts", "processed", "label"),
    [
        ((309, 204, 113), 206.5, 192.03),
        ((312, 117, 39), 145.4, 128.63),
        ((249, 55, 27), 114.1, 96.94),
        ((82, 32, 18), 82.25, 64.81),
    ],
)
def test_the_label_of_a_paper_is_below_the_processed_tokens(
    counts, processed: float, label: float
) -> None:
    """SparseVLM's lists: the authors' log prints 192.03125 for the first of them."""
    budget = Budget(576, tuple(zip((3, 7, 16), counts, strict=True)))
    assert budget.average(32) == pytest.approx(processed, abs=0.05)
    averages = budget.averages(32)
    assert averages.processed == averages.cached == budget.average(32)
    assert averages.handed_on == pytest.approx(label, abs=0.005)


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


@pytest.mark.parametrize(
    ("references", "depth", "scaled"),
    [
        ((3, 7, 16), 32, (3, 7, 16)),
        ((3, 7, 16), 24, (2, 5, 12)),
        ((3, 7, 16), 12, (1, 3, 6)),
        ((3, 7, 16), 6, (1, 2, 3)),
        ((8, 16, 24), 6, (2, 3, 5)),
        ((2, 8, 16), 6, (1, 2, 3)),
        ((8, 16), 28, (7, 14)),
        ((2, 8, 16), 3, (1, 2)),
    ],
)
def test_pruning_layers_stay_apart_on_a_shallow_llm(references, depth: int, scaled) -> None:
    assert scaled_layers(references, depth) == scaled


@pytest.mark.parametrize(
    ("tokens", "depth", "pattern", "counts"),
    [
        (192, 6, (309, 204, 113), (209, 138, 76)),
        (128, 6, (312, 117, 39), (110, 41, 14)),
        (192, 12, (309, 204, 113), (280, 185, 102)),
        (128, 12, (312, 117, 39), (248, 93, 31)),
        (64, 12, (82, 32, 18), (43, 17, 9)),
    ],
)
def test_stages_keep_the_proportions_of_their_pattern(tokens, depth, pattern, counts) -> None:
    layers = scaled_layers((3, 7, 16), depth)
    budget = staged(Target("SparseVLM", 576, depth, tokens / 576), layers, pattern)
    assert budget == Budget(576, tuple(zip(layers, counts, strict=True)))


def test_a_stage_whose_count_exceeds_all_tokens_does_not_prune() -> None:
    budget = staged(Target("Any", 100, 10, 0.8), (2, 5), (200, 100))
    assert budget == Budget(100, ((5, 60),), first_stage=1)


def test_earlier_stages_pay_for_the_one_token_of_the_last() -> None:
    assert staged(Target("Any", 100, 10, 0.26), (2, 5), (100, 1)) == Budget(100, ((2, 18), (5, 1)))
    assert staged(Target("Any", 100, 10, 0.24), (2, 4, 5), (100, 1, 1)) == Budget(
        100, ((2, 17), (4, 1), (5, 1))
    )


@pytest.mark.parametrize(
    ("tokens", "layers", "counts"),
    [
        (192, "early", (322, 180, 100)),
        (128, "early", (241, 101, 42)),
        (64, "early", (110, 21, 4)),
        (192, "published", (145, 36, 9)),
    ],
)
def test_pyramiddrop_finds_the_share_that_meets_the_ratio(tokens, layers, counts) -> None:
    """The counts are those of the official code, which cuts where ours are rounded."""
    budget = create("pyramiddrop", layers=layers, retention_ratio=tokens / 576).budget(576, 32)
    rounded_up = [ours - cut for (_, ours), cut in zip(budget.inner, counts, strict=True)]
    assert set(rounded_up) <= {0, 1}
    assert budget.average(32) == pytest.approx(tokens, abs=0.5)


def test_pyramiddrop_as_published_halves_three_times() -> None:
    budget = create("pyramiddrop", retention_ratio=270 / 576).budget(576, 32)
    assert budget == Budget(576, ((8, 288), (16, 144), (24, 72)))


@pytest.mark.parametrize(
    ("tokens", "layers", "share"),
    [(192, "published", 0.219), (192, "early", 0.575), (128, "early", 0.429), (64, "early", 0.145)],
)
def test_feather_counts_the_grid_in_its_first_stage(tokens, layers, share) -> None:
    budget = create("feather", layers=layers, retention_ratio=tokens / 576).budget(576, 32)
    (_, union), (_, last) = budget.inner
    assert union == pytest.approx(576 * share + 64 * (1 - share), abs=1.5)
    assert last == pytest.approx(union * share**2, abs=1)
    assert budget.average(32) == pytest.approx(tokens, abs=0.5)


@pytest.mark.parametrize("stride", [2, 3, 9])
def test_feather_counts_the_grid_by_its_stride(stride: int) -> None:
    budget = create("feather", stride=stride, retention_ratio=0.5).budget(5760, 32)
    (_, union), (_, last) = budget.inner
    share = (last / union) ** 0.5
    assert union == pytest.approx(5760 * (share + (1 - share) / stride**2), rel=0.001)


def test_ivcprune_trims_the_caches_before_its_layer() -> None:
    budget = create("ivcprune", retention_ratio=0.75).budget(576, 32)
    assert budget.per_layer(32) == [576] * 16 + [288] * 16
    assert budget.in_cache(32) == [576] + [288] * 31


def test_one_stage_pays_for_its_first_layers() -> None:
    budget = one_stage(Target("FastV", 576, 32, 1 / 9), 2)
    assert budget.inner == ((2, 30),)
    assert budget.average(32) == pytest.approx(64, abs=0.5)


def test_one_stage_may_start_from_fewer() -> None:
    budget = one_stage(Target("Any", 100, 10, 0.3), 5, before=50)
    assert budget == Budget(50, ((5, 10),))
    assert one_stage(Target("Any", 100, 10, 0.6), 5, before=50) == Budget(50, ((5, 50),))


def test_two_stages_keep_their_proportion() -> None:
    budget = two_stage(Target("Nüwa", 576, 32, 1 / 9), 16, 7)
    assert budget == Budget(112, ((16, 16),))


def test_two_stages_start_from_all_tokens_at_high_ratios() -> None:
    budget = two_stage(Target("Nüwa", 100, 10, 0.8), 5, 7)
    assert budget == Budget(100, ((5, 60),))


def test_a_refusal_names_the_reason_and_the_smallest_ratio() -> None:
    with pytest.raises(BudgetError) as refusal:
        one_stage(Target("FastV", 576, 6, 0.1), 1)
    assert str(refusal.value) == (
        "FastV prunes before layer 1 of 6 and keeps 576 tokens until then: "
        "its smallest retention ratio here is 16.9 %, and 10.0 % came. Ask for more."
    )


def test_a_refusal_can_be_pickled() -> None:
    with pytest.raises(BudgetError) as refusal:
        before_llm(Target("Random", 16, 6, 0.01))
    assert at_least(refusal.value.smallest) == "6.3 %"
    copy = pickle.loads(pickle.dumps(refusal.value))
    assert (str(copy), copy.smallest) == (str(refusal.value), 1 / 16)
