"""Rotary ids of survivors, whichever rows stand among them."""

from __future__ import annotations

import pytest
import torch

from pruning.base import PositionStrategy
from pruning.positions import place
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
def test_ids_follow_places_in_any_order_of_rows(strategy: PositionStrategy) -> None:
    places = torch.tensor([3, 8, 8, 20, 41])
    shuffle = torch.tensor([4, 1, 0, 3, 2])
    ids, _ = place(strategy, places, 5, 60)
    shuffled, _ = place(strategy, places[shuffle], 5, 60)
    assert shuffled.tolist() == ids[shuffle].tolist()
    assert ids[1] == ids[2]


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
def test_a_single_token_has_the_id_of_its_place_or_the_first(strategy: PositionStrategy) -> None:
    ids, _ = place(strategy, torch.tensor([7]), 5, 60)
    assert ids.tolist() == [12 if strategy is PESP else 5]


@pytest.mark.parametrize("strategy", PositionStrategy, ids=lambda strategy: strategy.value)
def test_all_strategies_number_an_uncompressed_picture_alike(strategy: PositionStrategy) -> None:
    ids, after = place(strategy, torch.arange(24), 5, 24)
    assert ids.tolist() == list(range(5, 29))
    assert after == 29
