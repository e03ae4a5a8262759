"""The measures of the analysis on arrays small enough to calculate by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.analysis.measures import (
    attention_flow,
    effective_rank,
    gradient_flow,
    object_cohesion,
    random_cohesion,
    tokens_inside,
    visual_entropy,
)


def test_flow_is_the_share_of_attention_on_the_keys() -> None:
    attention = torch.tensor([[[0.2, 0.3, 0.5]], [[0.6, 0.1, 0.3]]])  # two heads, one query
    assert attention_flow(attention, torch.tensor([0, 1])) == pytest.approx((0.5 + 0.7) / 2)


def test_gradient_flow_counts_only_edges_that_raise_the_answer() -> None:
    attention = torch.tensor([[[0.2, 0.8]]])
    gradient = torch.tensor([[[3.0, -1.0]]])
    assert gradient_flow(attention, gradient, torch.tensor([0, 1])) == pytest.approx(0.6)


def test_entropy_of_even_attention_is_the_largest() -> None:
    bits, share = visual_entropy(torch.full((4, 4), 0.25))
    assert bits == pytest.approx((0 + 1 + math.log2(3)) / 3)
    assert share == pytest.approx(1)
    bits, share = visual_entropy(torch.full((4, 4), 0.25), causal=False)
    assert (bits, share) == pytest.approx((math.log2(3), 1))


def test_entropy_counts_visual_tokens_before_only_and_their_own_sum() -> None:
    attention = torch.tensor([[1.0, 0, 0], [0.4, 0.6, 0], [0.1, 0.3, 0.6]])
    expected = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)) / 2  # row 1 sees one token only
    assert visual_entropy(attention)[0] == pytest.approx(expected)
    assert math.isnan(visual_entropy(attention[:1, :1])[0])


def test_cohesion_is_the_overlap_of_the_most_attended_with_the_object() -> None:
    received = torch.tensor([0.4, 0.3, 0.2, 0.1])
    inside = torch.tensor([True, False, True, False])
    assert object_cohesion(received, inside) == pytest.approx(1 / 3)
    assert object_cohesion(received, inside, k=3) == pytest.approx(2 / 3)
    assert math.isnan(object_cohesion(received, torch.zeros(4, dtype=torch.bool)))


def test_cohesion_has_no_value_where_k_leaves_no_choice() -> None:
    received, inside = torch.tensor([0.1, 0.4, 0.3, 0.2]), torch.tensor([1, 1, 0, 0]).bool()
    for k in (4, 16):
        assert math.isnan(object_cohesion(received, inside, k))
        assert math.isnan(random_cohesion(4, 2, k))


def test_random_cohesion_is_the_mean_over_all_draws() -> None:
    # of 4 tokens 2 are the object's: both are drawn in 1 of 6 ways, one in 4, none in 1
    assert random_cohesion(4, 2) == pytest.approx((1 * 1 + 4 * (1 / 3) + 0) / 6)
    assert random_cohesion(4, 2, k=3) == pytest.approx(2 / 4 * 2 / 3 + 2 / 4 * 1 / 4)


def test_rank_counts_directions() -> None:
    assert effective_rank(torch.eye(3)) == pytest.approx(3)
    assert effective_rank(torch.ones(3, 2)) == pytest.approx(1)


def test_a_cell_is_the_objects_if_its_centre_is() -> None:
    cells = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [np.nan] * 4])
    assert tokens_inside(cells, (0.2, 0.2, 0.6, 0.8)).tolist() == [True, False, False]
