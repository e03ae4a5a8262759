"""Rotary ids on three axes: time, row, column."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pruning.axes import place_on_axes, renumber_on_axes
from pruning.base import PositionStrategy

PERC, PESP = PositionStrategy.PERC, PositionStrategy.PESP
RPME, AFFINE = PositionStrategy.RPME, PositionStrategy.RPME_AFFINE
each_strategy = pytest.mark.parametrize("strategy", PositionStrategy, ids=lambda s: s.value)

EXTENTS = (5, 8, 6)  # three frames, two seconds' ids apart, of 8 x 6 tokens
#   time, row and column of four survivors, two of them in the same row
PLACES = torch.tensor([[0, 0, 2, 4], [2, 2, 5, 4], [1, 4, 0, 4]])


def numbered(strategy: PositionStrategy) -> tuple[list[list[int]], tuple[int, int, int]]:
    ids, extents = place_on_axes(strategy, PLACES, 10, EXTENTS)
    return ids.tolist(), extents


def test_contiguous_ids_leave_no_row_or_column_empty_and_keep_time() -> None:
    assert numbered(PERC) == (
        [[10, 10, 12, 14], [10, 10, 12, 11], [11, 12, 10, 12]],
        (5, 3, 3),
    )


def test_the_literal_stretch_fills_rows_and_columns_and_keeps_time() -> None:
    time, rows, columns = numbered(RPME)[0]
    assert time == [10, 10, 12, 14]
    assert rows == [10, 10, 17, 16]  # ⌈4 · 7 / 5⌉ = 6
    assert columns == [12, 15, 10, 15]  # ⌈1 · 5 / 4⌉ = 2


def test_the_affine_stretch_keeps_the_proportions_of_a_side() -> None:
    time, rows, columns = numbered(AFFINE)[0]
    assert time == [10, 10, 12, 14]
    assert rows == [10, 10, 17, 15]  # 2/3 · 7 = 4.67
    assert columns == [11, 15, 10, 15]


@each_strategy
def test_all_strategies_number_an_uncompressed_clip_alike(strategy: PositionStrategy) -> None:
    time, row, column = torch.meshgrid(
        torch.tensor([0, 2, 4]), torch.arange(8), torch.arange(6), indexing="ij"
    )
    places = torch.stack([time, row, column]).flatten(1)
    ids, extents = place_on_axes(strategy, places, 10, EXTENTS)
    assert torch.equal(ids, places + 10)
    assert extents == EXTENTS


@each_strategy
def test_a_placeless_token_takes_the_first_place(strategy: PositionStrategy) -> None:
    places = torch.cat([torch.full((3, 1), -1), PLACES], dim=1)
    ids, _ = place_on_axes(strategy, places, 10, EXTENTS)
    assert ids[:, 0].tolist() == [10, 10, 10]


@each_strategy
def test_ids_on_three_axes_follow_places_in_any_order_of_rows(
    strategy: PositionStrategy,
) -> None:
    shuffle = torch.tensor([3, 1, 0, 2])
    ids, _ = place_on_axes(strategy, PLACES, 10, EXTENTS)
    shuffled, _ = place_on_axes(strategy, PLACES[:, shuffle], 10, EXTENTS)
    assert torch.equal(shuffled, ids[:, shuffle])


#   two rows of text, the survivors, two rows of text at 10 + 8 and after
IDS = torch.cat(
    [torch.tensor([8, 9]).expand(3, -1), PLACES + 10, torch.tensor([18, 19]).expand(3, -1)], dim=1
)
VISUAL = torch.tensor([False, False, True, True, True, True, False, False])
ROWS = torch.tensor([0, 1, 3, 4, 6, 7])  # the first and the last visual row are dropped


def inside(strategy: PositionStrategy) -> tuple[Tensor, int]:
    return renumber_on_axes(strategy, IDS, VISUAL, ROWS, EXTENTS)


@pytest.mark.parametrize(
    ("strategy", "survivors", "shift"),
    [
        (PESP, [[10, 12], [12, 15], [14, 10]], 0),
        (PERC, [[10, 12], [10, 11], [11, 10]], 5),  # time is the longest axis now: 3 ids of 8
        (RPME, [[10, 12], [10, 17], [15, 10]], 0),
        (AFFINE, [[10, 12], [10, 17], [15, 10]], 0),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_rows_left_inside_the_llm_are_renumbered_on_every_axis(strategy, survivors, shift) -> None:
    ids, moved = inside(strategy)
    assert moved == shift
    assert ids[:, 2:4].tolist() == survivors
    for axis in ids:
        assert axis[:2].tolist() == [8, 9]
        assert axis[4:].tolist() == [18 - shift, 19 - shift]


def test_contiguous_ids_close_the_gaps_from_before_the_llm() -> None:
    once, first = inside(PERC)
    visual = torch.tensor([False, False, True, True, False, False])
    twice, second = renumber_on_axes(PERC, once, visual, torch.tensor([0, 1, 2, 4, 5]), EXTENTS)
    assert twice.tolist() == [[8, 9, 10, 11, 12]] * 3
    assert first + second == 18 - 11


def test_a_stretch_inside_the_llm_stays_in_the_range_before_it() -> None:
    ids, extents = place_on_axes(PERC, PLACES, 10, EXTENTS)
    text = torch.arange(15, 17).expand(3, -1)
    whole = torch.cat([IDS[:, :2], ids, text], dim=1)
    stretched, shift = renumber_on_axes(RPME, whole, VISUAL, ROWS, extents)
    assert shift == 0
    assert stretched[:, 2:4].tolist() == [[10, 12], [10, 12], [12, 10]]


def test_a_clip_without_text_after_it_is_refused() -> None:
    with pytest.raises(ValueError, match="text must follow"):
        renumber_on_axes(PERC, IDS[:, :6], VISUAL[:6], ROWS[:4], EXTENTS)
