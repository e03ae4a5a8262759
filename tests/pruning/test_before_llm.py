"""What PruMerge, HoloV, HIVTP and VisionZip-fix promise beyond the laws."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pruning.methods import create
from pruning.methods.holov import share_out, variance
from pruning.methods.prumerge import count_outliers, uniform
from pruning.ops.join import beside
from pruning.ops.select import in_turns
from pruning.ops.windows import partition
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.synthetic import PICTURES, Picture, random, visual_tokens

NAMES = ("prumerge", "prumerge-plus", "holov", "holov:official", "hivtp")
SQUARE = Picture("square", (1, 6, 6))
CLIP = Picture("clip", (3, 6, 6))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.id)
@pytest.mark.parametrize("name", NAMES)
def test_any_count_can_be_kept_and_no_token_is_kept_twice(name: str, picture: Picture) -> None:
    method = create(name)
    visual = visual_tokens(picture, method.needs)
    for keep in sorted({*range(1, len(visual), 7), *range(len(visual) - 2, len(visual) + 1)}):
        token_map = method.compress(visual, keep)
        placed = token_map.anchors[token_map.anchors >= 0]
        assert len(token_map) == keep
        assert len(placed.unique()) == len(placed)
        assert token_map.apply(visual.features).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_each_frame_of_a_clip_is_compressed_as_if_alone(name: str) -> None:
    method = create(name)
    visual, n = visual_tokens(CLIP, method.needs), 36
    token_map = method.compress(visual, 3 * 8)
    last = slice(2 * n, 3 * n)
    signals = ("attention", "last_attention", "last_keys")
    cut = {s: getattr(visual, s)[last] for s in signals if getattr(visual, s) is not None}
    if visual.received is not None:
        cut["received"] = visual.received[:, last]
    alone = replace(
        visual, features=visual.features[last], layout=TokenLayout.regular(1, 6, 6), **cut
    )
    expected = method.compress(alone, 8)
    anchors = torch.where(expected.anchors < 0, -1, expected.anchors + 2 * n)
    assert token_map.anchors[-8:].tolist() == anchors.tolist()
    values = token_map.apply(visual.features)[-8:]
    torch.testing.assert_close(values, expected.apply(alone.features))


def test_an_extra_token_is_placeless_in_every_frame() -> None:
    part = TokenMap.dense(torch.eye(3)[:2], torch.tensor([0, -1]))
    assert beside([part, part]).anchors.tolist() == [0, -1, 3, -1]


def test_prumerge_keeps_attended_tokens_in_their_order_and_an_extra_one() -> None:
    method = create("prumerge", neighbours=2)
    visual = visual_tokens(SQUARE, method.needs)
    token_map = method.compress(visual, 6)
    attention = visual.last_attention
    assert token_map.anchors.tolist() == [*attention.topk(5).indices.tolist(), -1]
    matrix = token_map.matrix().to_dense()
    assert ((matrix[:5] != 0).sum(dim=1) == 3).all()  # itself and two likes
    assert (matrix[torch.arange(5), token_map.anchors[:5]] == 1).all()
    rest = attention.index_fill(0, token_map.anchors[:5], 0)
    torch.testing.assert_close(matrix[5], rest)


def test_merged_tokens_are_similar_to_their_survivor() -> None:
    keys = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [-1.0, -1.0]])
    attention = torch.tensor([0.4, 0.1, 0.3, 0.15, 0.05])
    layout = TokenLayout.regular(1, 1, 5)
    visual = VisualTokens(torch.eye(5), layout, last_attention=attention, last_keys=keys)
    kept = create("prumerge", neighbours=1).compress(visual, 3).apply(visual.features)
    torch.testing.assert_close(kept[0], torch.tensor([1.0, 0.1, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(kept[1], torch.tensor([0.0, 0.0, 1.0, 0.15, 0.0]))


def test_prumerge_plus_keeps_outliers_and_an_even_grid() -> None:
    attention = torch.linspace(1.0, 1.1, 101)
    attention[[13, 60]] = torch.tensor([5.0, 9.0])
    visual = VisualTokens(
        torch.ones(101, 1),
        TokenLayout.regular(1, 1, 101),
        last_attention=attention,
        last_keys=random(101, 4, seed=0),
    )
    assert count_outliers(attention) == 2
    anchors = create("prumerge-plus").compress(visual, 13).anchors.tolist()
    assert anchors == [60, 13, *range(0, 100, 11), -1]
    assert create("prumerge-plus").compress(visual, 2).anchors.tolist() == [60, -1]


@pytest.mark.parametrize("cols", [1, 5, 40])
@pytest.mark.parametrize("count", range(28))
def test_a_uniform_grid_has_the_count_and_only_free_tokens(count: int, cols: int) -> None:
    free = torch.ones(40, dtype=torch.bool).index_fill(0, torch.arange(3, 36, 3), False)
    grid = uniform(free, count, cols)
    assert len(grid) == count
    assert (grid.diff() > 0).all()
    assert free[grid].all()


def test_a_uniform_grid_is_never_one_column() -> None:
    everyone = torch.ones(144, dtype=torch.bool)
    assert (uniform(everyone, 12, cols=144) % 12 == 0).all()  # the widest stride is a row of 12
    assert len((uniform(everyone, 12, cols=12) % 12).unique()) > 6


def test_the_excess_of_full_chunks_goes_to_the_best_others_or_is_lost() -> None:
    merit, size = torch.tensor([0.1, 0.7, 0.2]), torch.tensor([4, 4, 4])
    assert share_out(merit, size, 8, is_shared=False).tolist() == [0, 4, 2]
    assert share_out(merit, size, 8, is_shared=True).tolist() == [1, 4, 3]
    assert share_out(torch.zeros(3), size, 7, is_shared=True).tolist() == [3, 2, 2]


def test_holov_keeps_tokens_of_every_attended_chunk() -> None:
    attention = torch.full((64,), 0.01)
    attention[:16] = 0.02
    layout, features = TokenLayout.regular(1, 8, 8), random(64, 5, seed=0)
    visual = VisualTokens(features, layout, attention)
    anchors = create("holov", chunks=4).compress(visual, 21).anchors
    assert (anchors // 16).bincount().tolist() == [9, 4, 4, 4]  # of 8.4 and 4.2


def test_variance_selects_tokens_only_if_ranked_by_score() -> None:
    method = create("holov", chunks=2, alpha=1.0)
    visual = visual_tokens(SQUARE, method.needs)
    visual = replace(visual, attention=torch.full((36,), 0.1))
    by_attention = method.compress(visual, 9).anchors
    first = int((by_attention < 18).sum())
    assert by_attention.tolist() == [*range(first), *range(18, 27 - first)]  # ties: the earlier
    by_score = replace(method, rank_by="score").compress(visual, 9).anchors
    parts = visual.features.view(2, 18, -1)
    varied = variance(parts, torch.ones(2, 18, dtype=torch.bool))
    likely = [varied[0].topk(first).indices, 18 + varied[1].topk(9 - first).indices]
    assert by_score.tolist() == torch.cat(likely).tolist()


def test_zeros_replace_the_tokens_that_official_holov_loses() -> None:
    attention = torch.full((16,), 1e-4).index_fill(0, torch.arange(4), 1.0)
    layout, features = TokenLayout.regular(1, 4, 4), random(16, 5, seed=0)
    token_map = create("holov:official", chunks=4).compress(
        VisualTokens(features, layout, attention), 8
    )
    assert token_map.anchors.tolist() == [0, 1, 2, 3, -1, -1, -1, -1]
    assert (token_map.apply(features)[-4:] == 0).all()


def test_hivtp_keeps_tokens_of_every_quadrant_and_window() -> None:
    scores = torch.arange(64.0)  # the best are all in the last rows
    visual = VisualTokens(torch.ones(64, 1), TokenLayout.regular(1, 8, 8), received=scores[None])
    token_map = create("hivtp").compress(visual, 32)
    window, anchors = partition(16, 8, 8), token_map.anchors
    chosen = anchors[token_map.tags["global"]]
    row, col = chosen // 8, chosen % 8
    assert (2 * (row >= 4) + (col >= 4)).bincount().tolist() == [4] * 4
    assert len(window[anchors].unique()) == 16
    assert (anchors.diff() > 0).all()


def test_another_window_replaces_one_without_tokens() -> None:
    groups, scores = torch.tensor([0, 0, 1, 1, 3]), torch.tensor([0.1, 0.2, 0.9, 0.8, 0.0])
    assert in_turns(groups, scores, 3).tolist() == [1, 2, 4]
    assert in_turns(groups, scores, 4).tolist() == [1, 2, 3, 4]
    assert in_turns(groups, scores, 1).tolist() == [2]
    assert in_turns(groups, scores, 0).tolist() == []


def test_windows_partition_a_frame_into_the_given_count() -> None:
    assert partition(9, 6, 6).view(6, 6)[::2, ::2].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for count in range(1, 46):
        parts = partition(count, 5, 9)
        assert parts.unique().tolist() == list(range(count))
    assert partition(0, 5, 9).tolist() == [0] * 45
