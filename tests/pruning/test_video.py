"""What the video methods promise beyond the laws, on clips whose course is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest
import torch
from torch import Tensor

from pruning.budget import BudgetError
from pruning.methods import create
from pruning.ops.segment import most_saving, streaks
from pruning.ops.tree import link_in_place
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from tests.pruning.clips import SIDE, WIDTH, N, T, clip, seen
from tests.pruning.synthetic import random

ANY_COUNT = [
    "flashvid",
    "fastvid",
    "prunevid",
    "ttm",
    "vidcom2",
    "holitom",
    "framefusion",
    "frames",
    "pooling",
]


def test_a_token_exactly_at_the_threshold_does_not_merge() -> None:
    tokens = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]]).repeat(1, N, 1)
    for threshold, survivors in ((0.0, 2 * N), (-0.5, N)):
        method = create("ttm", merge_threshold=threshold)
        assert len(method.compress(seen(tokens), survivors)) == survivors
    similarity, _ = link_in_place(tokens)
    assert int((similarity > 0).sum()) == N


@pytest.mark.parametrize("name", ANY_COUNT)
@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_a_clip_can_be_brought_to_any_count(name: str, noise: float) -> None:
    visual = seen(clip(noise))
    for keep in (1, 7, 24, 25, 77, 101, 150, 199):
        token_map = create(name).compress(visual, keep)
        assert len(token_map) == keep
        assert (token_map.anchors.diff() > 0).all()
        sums = token_map.matrix().to_dense().sum(dim=1)
        torch.testing.assert_close(sums, torch.ones(keep))


def used(token_map: TokenMap) -> Tensor:
    """(E,) tokens that survivors are made of, ascending."""
    return token_map.cols[token_map.weights != 0].sort().values


@pytest.mark.parametrize("least", [1, 3, 8])
def test_flashvid_leaves_selected_tokens_as_they_are_and_drops_nothing(least: int) -> None:
    visual = seen(clip())
    token_map = create("flashvid", min_segments=least, segment_frames=1).compress(visual, 67)
    adts, survivors = token_map.tags["adts"], token_map.apply(visual.features)
    assert int(adts.sum()) == 6 * T  # ⌈0.7 · 8⌉ a frame
    assert torch.equal(survivors[adts], visual.features[token_map.anchors[adts]])
    assert torch.equal(token_map.tags["tstm"], ~adts)
    assert used(token_map).tolist() == list(range(T * N))


def test_a_segment_of_one_frame_merges_selected_tokens_only_as_released() -> None:
    visual = seen(clip())
    once = create("flashvid", segment_frames=1).compress(visual, 80)
    again = create("flashvid:official").compress(visual, 80)
    assert len(used(once)) == T * N
    assert len(used(again)) == T * N + int(again.tags["adts"].sum())


def test_a_static_clip_merges_along_columns_with_either_link() -> None:
    tokens = clip(noise=0.0)
    trees_through_time = create("flashvid", alpha=0.0, min_segments=1).compress(seen(tokens), N)
    in_place = create("ttm").compress(seen(tokens), N)
    assert trees_through_time.anchors.tolist() == in_place.anchors.tolist() == list(range(N))
    assert torch.equal(in_place.cols % N, in_place.rows)
    torch.testing.assert_close(trees_through_time.matrix().to_dense(), in_place.matrix().to_dense())


@pytest.mark.parametrize("num_layers", [2, 6, 8, 28, 36])
@pytest.mark.parametrize("expansion", [1.0, 1.25, 2.0])
def test_flashvid_meets_its_ratio_at_any_depth(num_layers: int, expansion: float) -> None:
    budget = create("flashvid", retention_ratio=0.1, expansion=expansion).budget(6272, num_layers)
    assert budget.average(num_layers) == pytest.approx(627.2, abs=0.5)
    counts = budget.per_layer(num_layers)
    assert counts == sorted(counts, reverse=True)


def test_fastvid_keeps_anchors_in_some_frames_and_salient_tokens_in_all() -> None:
    visual = seen(clip())
    method = create("fastvid", min_segments=1, segment_threshold=-1.0, anchor_interval=3)
    token_map = method.compress(visual, 80)  # 10 a frame: 6 salient and 4 context
    salient = token_map.tags["salient"]
    per_frame = (token_map.anchors[salient] // N).bincount(minlength=T)
    assert per_frame.tolist() == [6] * T
    context = (token_map.anchors[~salient] // N).bincount(minlength=T)
    assert context.tolist() == [0, 11, 0, 0, 11, 0, 0, 10]  # every third frame, from the last


def test_an_anchor_of_full_weight_is_unchanged() -> None:
    visual = seen(clip())
    token_map = create("fastvid", beta=1.0).compress(visual, 60)
    assert torch.equal(token_map.apply(visual.features), visual.features[token_map.anchors])


def test_fewer_frames_are_whole_and_evenly_spread() -> None:
    anchors = create("frames").compress(seen(clip()), 2 * N).anchors
    assert anchors.tolist() == [*range(2 * N, 3 * N), *range(6 * N, 7 * N)]
    thinned = create("frames").compress(seen(clip()), 2 * N + 3).anchors[2 * N :]
    assert (thinned // N).unique().tolist() == [6]
    assert (thinned % N).tolist() == [4, 12, 20]


def test_evs_keeps_the_first_frame_of_a_still_camera_whole_and_what_moves() -> None:
    tokens = clip(noise=0.0)
    tokens[3:5, 7], tokens[6, 20] = -tokens[3:5, 7], -tokens[6, 20]
    anchors = create("evs").compress(seen(tokens), N + 4).anchors
    moved = [3 * N + 7, 5 * N + 7, 6 * N + 20, 7 * N + 20]  # there and back
    assert anchors.tolist() == [*range(N), *moved]


def test_evs_refuses_a_ratio_too_low_for_its_first_frame() -> None:
    with pytest.raises(BudgetError, match=r"first of 8 frames whole.* is 12\.5 %, and 12\.0 %"):
        create("evs").compress(seen(clip()), N - 1)
    assert create("evs").compress(seen(clip()), N).anchors.tolist() == list(range(N))


def test_vidcom2_gives_an_unusual_frame_more_and_like_frames_the_same() -> None:
    tokens = clip(noise=0.0)
    counts = create("vidcom2").compress(seen(tokens), 2 * T).anchors // N
    assert counts.bincount().tolist() == [2] * T
    tokens[5] = 3 * random(N, WIDTH, seed=9)
    counts = create("vidcom2").compress(seen(tokens), 4 * T).anchors // N
    assert counts.bincount().tolist() == [4, 4, 4, 4, 3, 7, 3, 3]


def test_dycoke_keeps_one_frame_in_four_whole_and_thins_the_others_evenly() -> None:
    visual = seen(clip())
    counts = (create("dycoke").compress(visual, 2 * N + 6 * 7 + 2).anchors // N).bincount()
    assert counts.tolist() == [N, 8, 8, 7, N, 7, 7, 7]
    longer = seen(random(9, N, WIDTH, seed=3))
    counts = (create("dycoke").compress(longer, 3 * N + 1).anchors // N).bincount(minlength=9)
    assert counts.tolist() == [N, 1, 0, 0, N, 0, 0, 0, N]


def test_dycoke_compares_a_third_frame_with_the_first_of_its_group() -> None:
    tokens = clip(noise=0.0)
    tokens[1, 3], tokens[2, 9] = -tokens[1, 3], -tokens[2, 9]
    anchors = create("dycoke").compress(seen(tokens), 2 * N + 3).anchors
    assert {N + 3, 2 * N + 9} < set(anchors.tolist())
    with pytest.raises(BudgetError, match=r"keeps 2 of 8 frames whole.* is 25\.0 %"):
        create("dycoke").compress(seen(tokens), 2 * N - 1)


def saving(alike: torch.Tensor, cuts: tuple[int, ...]) -> int:
    """Tokens saved by the segments between `cuts`, if each place alike all through is kept once."""
    bounds = zip((0, *cuts), (*cuts, len(alike) + 1), strict=True)
    return sum(
        (end - start - 1) * int(alike[start : end - 1].all(dim=0).sum())
        for start, end in bounds
        if end - start > 1
    )


def test_holitom_finds_the_segments_that_save_most() -> None:
    for seed in range(20):
        alike = random(T - 1, N, seed=seed) > -0.8
        segment = most_saving(streaks(alike), longest=T)
        found = (segment.diff().nonzero().squeeze(1) + 1).tolist()
        every = chain.from_iterable(combinations(range(1, T), count) for count in range(T))
        assert saving(alike, tuple(found)) == max(saving(alike, cuts) for cuts in every) > 0


def test_holitom_stores_a_still_clip_once_and_keeps_more_apart_if_asked() -> None:
    visual = seen(clip(noise=0.0))
    once = create("holitom").compress(visual, N)
    assert once.anchors.tolist() == list(range(N)) and once.tags["static"].all()
    more = create("holitom").compress(visual, N + 9)
    assert more.tags["dynamic"].sum() == 9 and len(more) == N + 9


def test_holitom_without_likeness_selects_by_attention_in_every_frame() -> None:
    visual = seen(clip())
    token_map = create("holitom", static_threshold=1.0).compress(visual, 5 * T)
    assert token_map.is_selection and token_map.segments.tolist() == list(range(T))
    expected = (
        visual.attention.view(T, N).topk(5).indices.sort().values + N * torch.arange(T)[:, None]
    )
    assert token_map.anchors.tolist() == expected.flatten().tolist()


def test_framefusion_merges_a_still_place_over_time_then_neighbouring_places() -> None:
    tokens, features = clip(noise=0.0), clip(noise=0.0).flatten(0, 1)
    token_map = create("framefusion").compress(seen(tokens), N)
    assert token_map.anchors.tolist() == list(range(N))
    assert torch.equal(token_map.cols % N, token_map.rows)
    torch.testing.assert_close(token_map.apply(features), tokens[0])
    fewer = create("framefusion").compress(seen(tokens), N - 3)
    assert set(fewer.anchors.tolist()) < set(range(N))
    assert used(fewer).tolist() == list(range(T * N))


def test_prunevid_averages_static_tokens_and_no_moving_ones() -> None:
    tokens = clip(noise=0.05)
    tokens[:, :5] = 3 * random(T, 5, WIDTH, seed=7)
    method = create("prunevid", segment_share=0.01)
    token_map = method.compress(seen(tokens), 20 + 5 * T)
    static = token_map.tags["static"]
    assert token_map.anchors[static].tolist() == list(range(5, 25))
    torch.testing.assert_close(token_map.apply(tokens.flatten(0, 1))[static], tokens[:, 5:].mean(0))
    assert (token_map.anchors[~static] % N < 5).all()


def test_prunevid_keeps_in_every_frame_the_most_attended_of_any_word_and_head() -> None:
    layout, anchors = TokenLayout.regular(2, 1, 4), torch.arange(8)
    attention = torch.zeros(2, 3, 8)
    attention[0, 1, 6], attention[1, 2, 1], attention[0, 0, [2, 3]] = 0.9, 0.8, 0.1
    view = LayerView(11, 0, anchors, layout, attention=attention)
    assert create("prunevid").prune(view, 2).anchors.tolist() == [1, 6]
    assert create("prunevid").prune(view, 4).anchors.tolist() == [1, 2, 4, 6]


def test_visionzip_works_on_each_frame_by_itself() -> None:
    visual = replace(seen(clip()), keys=random(T * N, WIDTH, seed=5))
    token_map = create("visionzip").compress(visual, 7 * T + 3)
    frame = token_map.anchors // N
    assert (frame.diff() >= 0).all()
    assert frame.bincount().tolist() == [8, 8, 8, 7, 7, 7, 7, 7]
    assert torch.equal(token_map.cols // N, frame[token_map.rows])
    alone = create("visionzip").compress(
        VisualTokens(
            visual.features[-N:],
            TokenLayout.regular(1, SIDE, SIDE),
            visual.attention[-N:],
            visual.keys[-N:],
        ),
        7,
    )
    assert token_map.anchors[-7:].tolist() == (alone.anchors + (T - 1) * N).tolist()
    last = token_map.apply(visual.features)[-7:]
    torch.testing.assert_close(last, alone.apply(visual.features[-N:]))
