"""Newlines stand among survivors where they stood among tokens, and never share a number."""

from __future__ import annotations

import pytest
import torch

from models.separators import number, weave
from pruning.base import PositionStrategy

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


def test_weaving_fills_the_rows_between() -> None:
    woven = weave(torch.tensor([0, 3]), torch.tensor([[10], [11]]), torch.tensor([[1], [2], [3]]))
    assert woven.flatten().tolist() == [10, 1, 2, 11, 3]
