"""Values of one layout's tokens find the tokens of another that lie in the same places."""

from __future__ import annotations

import numpy as np
import torch

from pruning.ops.place import by_place
from pruning.tokens import TokenLayout
from tests.pruning.synthetic import random


def test_the_same_layout_takes_values_as_they_are() -> None:
    values, layout = random(24, seed=0), TokenLayout.regular(2, 3, 4)
    assert torch.equal(by_place(values, layout, TokenLayout.regular(2, 3, 4)), values)


def test_overlapping_tokens_of_the_same_layout_keep_their_own_values() -> None:
    box = np.array([[0, 0, 1, 1], [0, 0, 0.8, 0.8]], dtype=np.float32)
    values, layout = random(2, seed=0), TokenLayout(np.zeros(2, dtype=np.int32), box)
    assert torch.equal(by_place(values, layout, layout), values)


def test_a_placeless_token_takes_zero_and_shifts_no_value() -> None:
    values, with_cls = random(6, seed=0), TokenLayout.regular(1, 2, 3, placeless=1)
    for source in (TokenLayout.regular(1, 2, 3), TokenLayout.regular(1, 2, 3, (0, 0, 1.01, 1))):
        assert torch.equal(by_place(values, source, with_cls), torch.cat([torch.zeros(1), values]))


def test_a_finer_layout_takes_the_value_of_the_token_it_lies_in() -> None:
    coarse = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    fine = coarse.repeat_interleave(3, dim=0).repeat_interleave(2, dim=1)  # (6, 4)
    carried = by_place(coarse.flatten(), TokenLayout.regular(1, 2, 2), TokenLayout.regular(1, 6, 4))
    assert torch.equal(carried, fine.flatten())


def test_a_coarser_layout_takes_the_value_under_its_centres() -> None:
    fine = torch.arange(36.0).view(6, 6)
    carried = by_place(fine.flatten(), TokenLayout.regular(1, 6, 6), TokenLayout.regular(1, 2, 2))
    assert torch.equal(carried, fine[1::3, 1::3].flatten())


def test_padding_outside_the_other_layout_takes_zero() -> None:
    padded = TokenLayout.regular(1, 4, 2, (0, -0.5, 1, 1.5))
    carried = by_place(torch.tensor([5.0, 6.0]), TokenLayout.regular(1, 1, 2), padded)
    assert carried.view(4, 2).tolist() == [[0, 0], [5, 6], [5, 6], [0, 0]]


def test_overlapping_tokens_are_averaged() -> None:
    box = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1]], dtype=np.float32)
    overlapping = TokenLayout(np.zeros(2, dtype=np.int32), box)
    carried = by_place(torch.tensor([2.0, 4.0]), overlapping, TokenLayout.regular(1, 1, 2))
    assert carried.tolist() == [3, 2]


def test_a_missing_frame_takes_the_values_of_the_frame_before_it() -> None:
    source = TokenLayout(np.array([0, 2], dtype=np.int32), np.array([[0, 0, 1, 1]] * 2, np.float32))
    carried = by_place(torch.tensor([5.0, 6.0]), source, TokenLayout.regular(4, 1, 2))
    assert carried.tolist() == [5, 5, 5, 5, 6, 6, 6, 6]


def test_a_frame_before_the_first_of_the_other_layout_takes_that_one() -> None:
    box = np.array([[0, 0, 1, 1]], dtype=np.float32)
    late = TokenLayout(np.array([3], dtype=np.int32), box)
    carried = by_place(torch.tensor([7.0]), late, TokenLayout.regular(5, 1, 1))
    assert carried.tolist() == [7.0] * 5
