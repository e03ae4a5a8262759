"""GazeVLM's budgets of regions, and EP-VLM's choice of tokens."""

from __future__ import annotations

import pytest
import torch

from pruning.methods import create
from pruning.methods.gazevlm import gaze_map, regions_of
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.synthetic import random

SIDE = 12
LAYOUT = TokenLayout.regular(1, SIDE, SIDE)
TOP_LEFT, BOTTOM_RIGHT = (0.25, 0.25, 1.0), (0.75, 0.75, 1.0)


def quadrants(*gaze: tuple[float, float, float], keep: int = 36, **knobs: float) -> list[int]:
    """Survivors at top left, top right, bottom left and bottom right."""
    attention = random(SIDE**2, seed=0).softmax(0)
    visual = VisualTokens(attention[:, None], LAYOUT, attention, gaze=torch.tensor(gaze))
    kept = create("gazevlm", **knobs).compress(visual, keep).anchors
    assert len(kept) == keep
    return regions_of(LAYOUT, 2)[kept].bincount(minlength=4).tolist()


def test_the_region_that_is_looked_at_gets_what_the_whole_picture_leaves() -> None:
    """Its own share of 0.3 of the budget, and the other 0.7."""
    assert quadrants(TOP_LEFT, whole_share=0.3, regions=2) == [28, 3, 3, 2]
    assert quadrants(BOTTOM_RIGHT, whole_share=0.0) == [0, 0, 0, 36]


def test_two_points_share_the_budget_by_their_seconds() -> None:
    first, *others, last = quadrants(TOP_LEFT, BOTTOM_RIGHT, whole_share=0.0)
    assert others == [0, 0] and first == pytest.approx(last, abs=2)  # of 36, in 16 regions
    longer = (*BOTTOM_RIGHT[:2], 3.0)
    shares = quadrants(TOP_LEFT, longer, whole_share=0.0, keep=20, regions=2, spread=0.02)
    assert shares == [5, 0, 0, 15]


def test_without_a_share_of_gaze_regions_are_equal() -> None:
    assert quadrants(TOP_LEFT, whole_share=1.0, regions=2) == [9, 9, 9, 9]


def test_a_full_region_gives_the_rest_to_others() -> None:
    first, *others = quadrants(TOP_LEFT, keep=100, whole_share=0.0, regions=2)
    assert first == 36 and sum(others) == 64


def test_the_map_is_highest_at_the_point_and_round_on_a_wide_picture() -> None:
    wide = TokenLayout.regular(1, 6, 12)
    looked = gaze_map(torch.tensor([[0.5 + 1 / 24, 0.25, 2.0]]), wide, 0.1).view(6, 12)
    assert (looked == looked.max()).nonzero().tolist() == [[1, 6]]
    torch.testing.assert_close(looked[1, 8], looked[3, 6])  # two tokens away, either way


def test_gaze_reaches_the_crops_and_the_whole_picture_alike() -> None:
    base, crops = TokenLayout.regular(1, 2, 2), TokenLayout.regular(1, 4, 4)
    both = [regions_of(layout, 2) for layout in (base, crops)]
    assert both[0].tolist() == [0, 1, 2, 3] and both[1].bincount().tolist() == [4] * 4


def test_epvlm_keeps_the_tokens_with_most_events_and_else_the_earliest() -> None:
    events = torch.tensor([0.0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 3, 0])
    visual = VisualTokens(events[:, None], TokenLayout.regular(3, 2, 2), events=events)
    keep = create("epvlm").compress
    assert keep(visual, 2).anchors.tolist() == [4, 10]
    assert keep(visual, 4).anchors.tolist() == [0, 1, 4, 10]
