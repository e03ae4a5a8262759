"""Rotary ids, before the LLM and inside it."""

from __future__ import annotations

import pytest
import torch

from pruning.base import PositionStrategy
from pruning.positions import place, renumber
from tests.pruning.golden import cases

PERC, PESP = PositionStrategy.PERC, PositionStrategy.PESP
RPME, AFFINE = PositionStrategy.RPME, PositionStrategy.RPME_AFFINE


@pytest.mark.parametrize("case", cases("positions"), ids=lambda case: case.id)
@pytest.mark.parametrize("strategy", [PERC, PESP, RPME], ids=lambda strategy: strategy.value)
def test_ids_are_those_of_the_paper(case, strategy: PositionStrategy) -> None:
    start, n = case.knobs["visual_start"], case.knobs["visual_tokens"]
    ids, after = place(strategy, case.anchors, start, n)
    assert ids.dtype == torch.int64
    assert ids.tolist() == getattr(case, f"expect_{strategy.value}").tolist()
    assert after == case.expect_next[[PERC, PESP, RPME].index(strategy)]


@pytest.mark.parametrize("strategy", [PESP, RPME, AFFINE], ids=lambda strategy: strategy.value)
def test_ids_follow_places_in_whatever_order_rows_come(strategy: PositionStrategy) -> None:
    places = torch.tensor([3, 8, 8, 20, 41])
    shuffle = torch.tensor([4, 1, 0, 3, 2])
    ids, _ = place(strategy, places, 5, 60)
    shuffled, _ = place(strategy, places[shuffle], 5, 60)
    assert shuffled.tolist() == ids[shuffle].tolist()
    assert ids[1] == ids[2]


def test_contiguous_ids_follow_the_rows() -> None:
    ids, after = place(PERC, torch.tensor([9, 2, 2, -1]), 5, 60)
    assert ids.tolist() == [5, 6, 7, 8]
    assert after == 9


@pytest.mark.parametrize("strategy", [PESP, RPME, AFFINE], ids=lambda strategy: strategy.value)
def test_a_placeless_token_takes_the_first_place(strategy: PositionStrategy) -> None:
    ids, _ = place(strategy, torch.tensor([-1, 4, 30]), 5, 60)
    assert ids[0] == 5


def test_the_literal_stretch_forces_only_the_first_token_to_the_start() -> None:
    ids, after = place(RPME, torch.tensor([100, 110, 300]), 35, 576)
    assert ids.tolist() == [35, 246, 610]
    assert after == 611


def test_the_affine_stretch_keeps_the_proportions() -> None:
    ids, after = place(AFFINE, torch.tensor([100, 110, 300]), 35, 601)
    assert ids.tolist() == [35, 65, 635]
    assert after == 636


def test_the_affine_stretch_rounds_half_up() -> None:
    ids, _ = place(AFFINE, torch.tensor([0, 1, 2, 4]), 0, 7)  # 1.5, 3, 6
    assert ids.tolist() == [0, 2, 3, 6]


@pytest.mark.parametrize("strategy", PositionStrategy, ids=lambda strategy: strategy.value)
def test_a_lone_token_stands_at_its_place_or_the_start(strategy: PositionStrategy) -> None:
    ids, _ = place(strategy, torch.tensor([7]), 5, 60)
    assert ids.tolist() == [12 if strategy is PESP else 5]


@pytest.mark.parametrize("strategy", PositionStrategy, ids=lambda strategy: strategy.value)
def test_an_uncompressed_picture_is_numbered_alike_by_all(strategy: PositionStrategy) -> None:
    ids, after = place(strategy, torch.arange(24), 5, 24)
    assert ids.tolist() == list(range(5, 29))
    assert after == 29


#   two rows of text, four visual rows with ids 2, 5, 6, 9 of 8, two rows of text at 10 and 11
IDS = torch.tensor([0, 1, 2, 5, 6, 9, 10, 11])
VISUAL = torch.tensor([False, False, True, True, True, True, False, False])
ROWS = torch.tensor([0, 1, 3, 4, 6, 7])  # the first and the last visual row are dropped


@pytest.mark.parametrize(
    ("strategy", "expected", "shift"),
    [
        (PESP, [0, 1, 5, 6, 10, 11], 0),
        (PERC, [0, 1, 2, 3, 4, 5], 6),
        (RPME, [0, 1, 2, 9, 10, 11], 0),
        (AFFINE, [0, 1, 2, 9, 10, 11], 0),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_rows_left_inside_the_llm_are_renumbered(strategy, expected, shift) -> None:
    assert renumber(strategy, IDS, VISUAL, ROWS)[0].tolist() == expected
    assert renumber(strategy, IDS, VISUAL, ROWS)[1] == shift


def test_stretching_inside_uses_the_whole_span_the_picture_had() -> None:
    ids = torch.tensor([0, 1, 4, 5, 7, 12, 13])  # the picture had 2 to 11
    visual = torch.tensor([False, False, True, True, True, False, False])
    renumbered, _ = renumber(RPME, ids, visual, torch.tensor([0, 1, 2, 3, 5, 6]))
    assert renumbered.tolist() == [0, 1, 2, 11, 12, 13]


def test_contiguous_ids_move_later_text_up_by_the_number_dropped() -> None:
    ids, visual = torch.arange(20), (torch.arange(20) >= 4) & (torch.arange(20) < 16)
    rows = torch.cat([torch.arange(4), torch.tensor([5, 9, 15]), torch.arange(16, 20)])
    renumbered, shift = renumber(PERC, ids, visual, rows)
    assert shift == 9
    assert renumbered.tolist() == list(range(11))


def test_a_prompt_that_starts_with_the_picture_can_be_stretched() -> None:
    visual = torch.tensor([True, True, True, False])
    renumbered, _ = renumber(RPME, torch.tensor([1, 4, 6, 8]), visual, torch.tensor([0, 1, 3]))
    assert renumbered.tolist() == [0, 7, 8]


def test_a_prompt_without_text_after_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="text must follow"):
        renumber(PERC, torch.arange(3), torch.tensor([False, True, True]), torch.tensor([0, 1]))
