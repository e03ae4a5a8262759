"""Down-sampling: the sizes of smaller pictures, and the blocks that their tokens stand for."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import interpolate

from pruning.methods import create
from pruning.ops.grid import smaller
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.golden import over
from tests.pruning.synthetic import random


@over("downsample")
def test_a_smaller_picture_has_the_official_count_of_tokens(case) -> None:
    """The same sides too, unless the official grid is too far from the aspect ratio."""
    side, alike, sizes = case.knobs["factor"], 0, case.expect_sizes.tolist()
    for *_, divisor, _, _, width, height, tokens in sizes:
        if divisor == 1:
            whole = 1, height // side, width // side
            continue
        if tokens >= math.prod(whole):
            continue  # the official one enlarges a picture of few pixels
        _, rows, cols = smaller(whole, tokens)
        assert abs(rows * cols - tokens) <= 1
        alike += (rows, cols) == (height // side, width // side)
    assert alike >= 0.8 * sum(divisor > 1 for _, _, divisor, *_ in sizes)


@pytest.mark.parametrize(
    ("grid", "count", "expected"),
    [
        ((1, 12, 12), 48, (1, 7, 7)),
        ((1, 12, 12), 144, (1, 12, 12)),
        ((8, 6, 6), 96, (8, 3, 4)),
        ((8, 6, 6), 3, (8, 1, 1)),
        ((1, 2, 12), 5, (1, 1, 5)),
    ],
)
def test_a_smaller_grid_has_the_nearest_count_and_all_frames(grid, count, expected) -> None:
    assert smaller(grid, count) == expected


@pytest.mark.parametrize(("down", "across"), [(4, 4), (3, 4), (2, 3), (12, 12)])
def test_a_survivor_is_the_mean_of_its_block_of_the_picture(down: int, across: int) -> None:
    features = random(144, 3, seed=0)
    visual = VisualTokens(features, TokenLayout.regular(1, 12, 12))
    method = create("downsample", retention_ratio=down * across / 144)
    assert method.budget_for(visual.layout, 8).before == down * across
    token_map = method.compress(visual, down * across)
    picture = features.T.reshape(1, 3, 12, 12)
    expected = interpolate(picture, (down, across), mode="area")[0].flatten(1).T
    torch.testing.assert_close(token_map.apply(features), expected)
    assert len(token_map.anchors.unique()) == down * across


def test_a_token_across_two_blocks_is_shared_by_them() -> None:
    visual = VisualTokens(torch.ones(9, 1), TokenLayout.regular(1, 3, 3))
    matrix = create("downsample").compress(visual, 4).matrix().to_dense()
    assert matrix[:, 4].tolist() == pytest.approx([1 / 9] * 4)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(4))
