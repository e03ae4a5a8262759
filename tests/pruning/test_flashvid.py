"""What FlashVID promises, on random clips of positive mean and on one thing that moves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pruning.base import PositionStrategy
from pruning.methods import create
from pruning.methods.flashvid import FlashVID
from pruning.ops.tree import Forest, link_anywhere
from pruning.positions import place
from pruning.step import TraceStep
from pruning.tokens import LayerView, TokenLayout
from pruning.trace import TokenTrace
from tests.pruning.clips import ALL, SIDE, WIDTH, N, T, clip, seen
from tests.pruning.synthetic import random

NONE = ~ALL  # selected
ONE = torch.zeros(T, dtype=torch.int64)  # the clip is one segment
THREE = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2])


def whole(**knobs: object) -> FlashVID:
    """FlashVID that makes trees only, through a clip it never cuts."""
    return create("flashvid", alpha=0.0, min_segments=1, segment_threshold=-1.0, **knobs)


def moving(noise: float = 0.05) -> tuple[Tensor, Tensor]:
    """A thing of 2 × 2 tokens that goes over a still ground, and the way (T, 4) it goes."""
    width = 8 * WIDTH  # in which two random tokens are never alike
    ground, thing = random(N, width, seed=0) + 1, 2 * random(4, width, seed=1) + 1
    corner = torch.tensor([0, 1, 2, 3, 8, 13, 14, 15])[:T]
    way = corner[:, None] + torch.tensor([0, 1, SIDE, SIDE + 1])  # (T, 4)
    tokens = ground.repeat(T, 1, 1)
    tokens[torch.arange(T)[:, None], way] = thing
    return tokens + noise * random(T, N, width, seed=2), way + N * torch.arange(T)[:, None]


def survivors(name: str, tokens: Tensor, keep: int, **knobs: object) -> Tensor:
    """(n,) the survivor of each token."""
    visual = seen(tokens)
    token_map = create(name, **knobs).compress(visual, keep)
    return torch.from_numpy(TokenTrace(visual.layout, (TraceStep.of(0, token_map),), 4).survivor)


def test_a_moving_object_is_one_tree_along_its_path_but_not_in_place() -> None:
    tokens, way = moving()
    keep = int((link_anywhere(tokens, ALL)[0] <= 0.8).sum())  # as many as there are trees
    assert keep < T * N // 3
    followed = survivors("flashvid", tokens, keep, alpha=0.0, min_segments=1)
    assert torch.equal(followed[way], way[:1].expand(T, 4))
    in_place = survivors("ttm", tokens, keep)[way]  # (T, 4)
    assert (in_place >= N * torch.arange(T)[:, None]).all()  # nothing of it joined a frame before


def test_a_short_clip_has_trees_by_default_and_none_as_released() -> None:
    tokens, _ = moving()
    visual = seen(tokens)
    for preset, seams in (("llava", True), ("qwen2.5-vl", True), ("official", False)):
        method = create(f"flashvid:{preset}", segment_threshold=-1.0)
        token_map = method.compress(visual, 80)
        assert int(token_map.segments[-1]) + 1 == (2 if seams else T)
        spans = token_map.cols // N != token_map.anchors[token_map.rows] // N
        assert bool(spans.any()) is seams


@pytest.mark.parametrize(("frames", "count"), [(1, 1), (3, 1), (8, 2), (16, 4), (32, 8), (64, 8)])
def test_the_number_of_segments_is_limited_only_in_short_clips(frames: int, count: int) -> None:
    tokens = random(1, N, WIDTH, seed=0) + 0.1 * random(frames, N, WIDTH, seed=1) + 1
    assert int(create("flashvid").cut(tokens).max()) + 1 == count
    released = create("flashvid:official").cut(tokens)
    assert int(released.max()) + 1 == min(frames, 8)


def test_a_parent_is_the_most_similar_free_token_of_the_frame_before() -> None:
    tokens, free = clip(), random(T, N, seed=3) > -0.5
    similarity, parent = (found.view(T, N) for found in link_anywhere(tokens, free))
    assert (similarity[0] == -1).all()
    for frame in range(1, T):
        cosine = torch.cosine_similarity(tokens[frame, :, None], tokens[frame - 1], dim=-1)
        cosine[:, ~free[frame - 1]] = -1
        best = cosine.max(dim=1)
        mine = free[frame]
        torch.testing.assert_close(similarity[frame, mine], best.values[mine])
        assert parent[frame, mine].tolist() == (best.indices[mine] + (frame - 1) * N).tolist()


def test_a_token_exactly_at_the_threshold_has_no_parent() -> None:
    tokens = torch.tensor([1.0, 0.0]).expand(T, N, 2).clone()
    tokens[1::2] = torch.tensor([0.0, 1.0])  # every cosine between two frames is 0
    assert int(whole(merge_threshold=0.0).grow(tokens, ONE, NONE, T).is_root.sum()) == T * N
    assert int(whole(merge_threshold=-0.001).grow(tokens, ONE, NONE, T).is_root.sum()) < T * N


def roots_of(forest: Forest) -> Tensor:
    return forest.is_root.nonzero().squeeze(1)


@pytest.mark.parametrize("segment", [ONE, THREE], ids=["whole", "cut"])
@pytest.mark.parametrize("threshold", [-1.0, 0.8, 0.95])
@pytest.mark.parametrize("keep", [T, 5 * T, 20 * T])
def test_trees_leave_every_segment_its_budget(segment: Tensor, threshold: float, keep: int) -> None:
    selected = random(T, N, seed=4) > 1.5
    forest = whole(merge_threshold=threshold).grow(clip(), segment, selected, keep)
    length = segment.bincount()
    roots = segment[roots_of(forest) // N].bincount(minlength=len(length))
    left = roots + torch.zeros_like(length).index_add(0, segment, selected.sum(dim=1))
    assert (left >= keep // T * length).all()


def test_if_all_tokens_can_merge_the_budget_and_one_root_remain() -> None:
    method, keep = whole(merge_threshold=-1.0), 20 * T
    forest = method.grow(clip(), THREE, NONE, keep)
    left = THREE[roots_of(forest) // N].bincount()
    assert left.tolist() == [20 * 3 + 1, N, 20 * 4 + 1]  # the lone frame has nothing to hang on


@pytest.mark.parametrize("threshold", [-1.0, 0.8, 1.0])
def test_a_tree_is_a_mean_of_its_tokens_and_every_free_token_is_in_one(threshold: float) -> None:
    selected = random(T, N, seed=4) > 1
    forest = whole(merge_threshold=threshold).grow(clip(), THREE, selected, 4 * T)
    roots, free = roots_of(forest), ~selected.flatten()
    assert (forest.weights > 0).all()
    sums = torch.zeros(T * N).index_add(0, forest.root[free], forest.weights[free])
    torch.testing.assert_close(sums[roots], torch.ones(len(roots)))
    assert torch.equal(forest.root >= 0, free)
    assert torch.equal(forest.root[free].unique(), roots)


def test_survivors_have_contiguous_ids_for_llava_and_original_ids_for_qwen() -> None:
    contiguous, sparse = PositionStrategy.PERC, PositionStrategy.PESP
    for preset, strategy in (("llava", contiguous), ("qwen2.5-vl", sparse), ("qwen3-vl", sparse)):
        method = create(f"flashvid:{preset}")
        assert (method.positions.before, method.positions.inner) == (strategy, sparse)
        anchors = method.compress(seen(clip()), 80).anchors
        ids, after = place(strategy, anchors, 11, T * N)
        expected = torch.arange(80) if strategy is contiguous else anchors
        assert ids.tolist() == (11 + expected).tolist()
        assert after == (11 + 80 if strategy is contiguous else 11 + T * N)


def test_inside_the_llm_the_most_attended_tokens_stay_in_order() -> None:
    attention = torch.tensor([[[0.0, 0.4, 0.1, 0.3]], [[0.3, 0.0, 0.1, 0.3]]])  # (H, 1, V)
    anchors = torch.tensor([3, 8, 9, 20])
    view = LayerView(20, 0, anchors, TokenLayout.regular(T, SIDE, SIDE), attention=attention)
    assert create("flashvid").prune(view, 2).anchors.tolist() == [1, 3]
