"""Newlines keep their places among the survivors, and no two rows share an id."""

from __future__ import annotations

import pytest
import torch

from models.engine.separators import number, renumber, weave
from pruning.base import PositionStrategy
from pruning.ops.select import remaining

PERC, PESP = PositionStrategy.PERC, PositionStrategy.PESP
RPME, AFFINE = PositionStrategy.RPME, PositionStrategy.RPME_AFFINE
ROWS_OF_THREE = torch.tensor([3, 6, 9])  # a picture of 3 x 3 tokens, a newline after each row
AFTER_ALL = torch.tensor([9])


def rows_and_ids(
    strategy: PositionStrategy, places: list[int], stops: torch.Tensor
) -> tuple[list[int], list[int], int]:
    rows, ids, end = number(strategy, torch.tensor(places), 9, stops)
    return rows.tolist(), ids.tolist(), end


def test_without_compression_rows_are_numbered_through() -> None:
    for strategy in PositionStrategy:
        rows, ids, end = rows_and_ids(strategy, list(range(9)), ROWS_OF_THREE)
        assert (rows, ids, end) == ([3, 7, 11], list(range(12)), 12)


def test_survivors_and_newlines_keep_their_numbers_under_pesp() -> None:
    rows, ids, end = rows_and_ids(PESP, [1, 4, 8], ROWS_OF_THREE)
    assert rows == [1, 3, 5]
    assert ids == [1, 3, 5, 7, 10, 11]  # survivor, newline, and so on
    assert end == 12


def test_everything_moves_up_under_perc() -> None:
    rows, ids, end = rows_and_ids(PERC, [1, 7, 8], ROWS_OF_THREE)
    assert rows == [1, 2, 5]  # the second row of the picture is empty but for its newline
    assert (ids, end) == (list(range(6)), 6)


@pytest.mark.parametrize(
    ("strategy", "last", "end"), [(PERC, 2, 4), (PESP, 6, 10), (RPME, 8, 10), (AFFINE, 8, 10)]
)
def test_the_newline_of_a_clip_follows_it_and_text_follows_the_newline(
    strategy: PositionStrategy, last: int, end: int
) -> None:
    rows, ids, after = rows_and_ids(strategy, [2, 3, 6], AFTER_ALL)
    assert rows == [3]
    assert ids[2:] == [last, end - 1]
    assert after == end


@pytest.mark.parametrize("strategy", PositionStrategy)
def test_no_two_rows_share_a_number_whatever_the_order(strategy: PositionStrategy) -> None:
    _, ids, _ = rows_and_ids(strategy, [7, 2, 0, 5], ROWS_OF_THREE)
    assert len(set(ids)) == len(ids)


#   two rows of text, four visual rows with ids 2, 5, 6, 9 of 8, two rows of text at 10 and 11
TEXT, PICTURE = torch.tensor([0, 1, 6, 7]), torch.tensor([2, 3, 4, 5])
IDS = torch.tensor([0, 1, 2, 5, 6, 9, 10, 11])
EACH = [(PESP, [5, 6]), (PERC, [2, 3]), (RPME, [2, 9]), (AFFINE, [2, 9])]


@pytest.mark.parametrize(("strategy", "survivors"), EACH)
def test_rows_left_inside_the_llm_are_renumbered(
    strategy: PositionStrategy, survivors: list[int]
) -> None:
    rows, ids = renumber(strategy, IDS, TEXT, PICTURE[1:3])
    after = [4, 5] if strategy is PERC else [10, 11]
    assert rows.tolist() == [0, 1, 4, 5]
    assert ids.tolist() == [0, 1, *survivors, *after]


def test_stretching_inside_uses_the_whole_span_the_picture_had() -> None:
    ids = torch.tensor([0, 1, 4, 5, 7, 12, 13])  # the picture had 2 to 11
    _, renumbered = renumber(RPME, ids, torch.tensor([0, 1, 5, 6]), torch.tensor([2, 3]))
    assert renumbered.tolist() == [0, 1, 2, 11, 12, 13]


def test_contiguous_ids_move_later_text_up_by_the_number_dropped() -> None:
    text = torch.tensor([*range(4), *range(16, 20)])
    _, renumbered = renumber(PERC, torch.arange(20), text, torch.tensor([5, 9, 15]))
    assert renumbered.tolist() == list(range(11))


def test_a_prompt_that_starts_with_the_picture_can_be_stretched() -> None:
    ids = torch.tensor([1, 4, 6, 8])
    _, renumbered = renumber(RPME, ids, torch.tensor([3]), torch.tensor([0, 1]))
    assert renumbered.tolist() == [0, 7, 8]


#   one row of text, three rows of three tokens, a newline after each, one row of text
LINES = torch.tensor([0, 4, 8, 12, 13])
TOKENS = remaining(LINES, 14)


def test_survivors_stretched_inside_pass_the_newlines_that_they_leave_behind() -> None:
    rows, ids = renumber(RPME, torch.arange(14), LINES, TOKENS[[1, 3, 4]])
    assert rows.tolist() == [0, 2, 3, 6, 7]
    assert ids.tolist() == [0, 1, 4, 8, 9, 11, 12, 13]  # 1, 3 and 4 of 0 to 8 go to 0, 6 and 8


@pytest.mark.parametrize("strategy", PositionStrategy)
def test_inside_the_llm_rows_stand_and_are_numbered_as_they_would_be_before_it(
    strategy: PositionStrategy,
) -> None:
    places = torch.tensor([1, 2, 3, 6])
    before, numbered, _ = number(strategy, places, 9, ROWS_OF_THREE)
    rows, ids = renumber(strategy, torch.arange(14), LINES, TOKENS[places])
    assert rows.tolist() == [0, *(1 + before).tolist(), len(ids) - 1]
    assert ids[1:-1].tolist() == (1 + numbered).tolist()


def test_newlines_keep_their_numbers_where_the_first_and_the_last_line_lost_all() -> None:
    rows, ids = renumber(RPME, torch.arange(14), LINES, TOKENS[[4]])
    again, twice = renumber(RPME, ids, rows, remaining(rows, len(ids)))
    assert ids.tolist() == twice.tolist() == [0, 1, 4, 8, 12, 13]
    assert again.tolist() == rows.tolist() == [0, 2, 3, 4, 5]


def test_weaving_fills_the_rows_between() -> None:
    woven = weave(torch.tensor([0, 3]), torch.tensor([[10], [11]]), torch.tensor([[1], [2], [3]]))
    assert woven.flatten().tolist() == [10, 1, 2, 11, 3]
