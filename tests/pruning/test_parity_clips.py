"""The newer video methods against stored outputs of their official code."""

from __future__ import annotations

import math

import pytest
import torch

from pruning.axes import place_on_axes
from pruning.base import CompressionMethod, PositionStrategy
from pruning.budget import ROUNDING
from pruning.methods import create
from pruning.methods.dycoke import thin
from pruning.methods.evs import NEW, difference
from pruning.ops.grid import coordinates
from pruning.ops.select import rank_within
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, StepView, TokenLayout, VisualTokens
from tests.pruning.golden import assert_as_official, over, stages

# Its two densest tokens are each other's nearest: of equals, the earlier one is denser here. The
# official code adds noise, which decides; without noise, as stored, both become centres.
TIED = "case6"


def seen(case, **signals: torch.Tensor) -> VisualTokens:
    frames, per_frame, _ = case.features.shape
    grid = case.knobs.get("grid", (1, per_frame))
    layout = TokenLayout.regular(frames, *grid)
    return VisualTokens(case.features.flatten(0, 1), layout, **signals)


@over("evs")
def test_evs_is_the_official_one(case) -> None:
    visual = seen(case)
    token_map = create("evs").compress(visual, len(case.expect_anchors))
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    per_frame = torch.from_numpy(visual.layout.frame)[token_map.anchors].bincount(
        minlength=len(case.features)
    )
    assert per_frame.tolist() == case.expect_per_frame.tolist()
    measured = difference(case.features).view_as(case.expect_dissimilarity)
    assert_as_official(measured, case.expect_dissimilarity.clamp_max(NEW))


@over("evs", where=lambda case: hasattr(case, "expect_mrope"))
def test_evs_numbers_survivors_on_three_axes_as_the_official_one(case) -> None:
    """Only the clip: the official code starts the text after it among the clip's own ids."""
    knobs, (frames, *_) = case.knobs, case.features.shape
    time, row, col = coordinates((frames, *knobs["grid"]), torch.device("cpu"))
    time = (time * knobs["tokens_per_second"] * knobs["second_per_grid"]).long()
    places = torch.stack([time, row, col])[:, case.expect_anchors]
    extents = (int(time.max()) + 1, *knobs["grid"])
    ids, _ = place_on_axes(PositionStrategy.PESP, places, knobs["before"], extents)
    clip = slice(knobs["before"], -knobs["after"])
    assert ids.tolist() == case.expect_mrope[:, clip].tolist()


@over("vidcom2")
def test_vidcom2_is_that_of_vllm(case) -> None:
    method, count = vidcom2(case), len(case.expect_exact_anchors)
    scores = method.ordinariness(case.features)
    kept = method.choose(*scores, case.knobs["retention_ratio"], count)
    assert kept.tolist() == case.expect_exact_anchors.tolist()
    assert len(method.compress(seen(case), count)) == count


@over("vidcom2")
def test_vidcom2_ranks_and_shares_out_as_the_official_one(case) -> None:
    method, ratio = vidcom2(case), case.knobs["retention_ratio"]
    of_clip, of_frame = method.ordinariness(case.features)
    assert_as_official(of_clip, case.expect_video_score)
    assert_as_official(of_frame, case.expect_frame_score)
    shares = method.shares(of_clip, ratio)
    torch.testing.assert_close(shares, case.expect_scales, atol=2e-3, rtol=0)
    frame = torch.arange(len(shares)).repeat_interleave(of_clip.shape[1])
    rank = rank_within(frame, -(of_clip + of_frame).flatten())
    kept = rank < case.expect_counts[frame]  # it rounds in every frame
    assert kept.nonzero().squeeze(1).tolist() == case.expect_anchors.tolist()
    counts = (shares * of_clip.shape[1]).round().clamp_min(1)
    assert counts.tolist() == case.expect_counts.tolist()


@over("dycoke")
def test_dycoke_thins_groups_of_frames_as_the_official_one(case) -> None:
    """With the official counts, which are other ones at the end of a clip."""
    token_map = thin(case.features, case.expect_per_frame)
    assert token_map.anchors.tolist() == case.expect_anchors.sort().values.tolist()


@over("dycoke")
def test_dycoke_reads_in_decode_what_the_official_one_does(case) -> None:
    knobs, previous = case.knobs, None
    start, n = knobs["decode_visual_start"], knobs["decode_visual_tokens"]
    method = create("dycoke", decode_threshold=knobs["decode_threshold"])
    count = math.floor(n * (1 - knobs["decode_drop"]) + ROUNDING)
    for step in stages(case, "decode"):
        attention = step["attention"][:, None, start : start + n]  # (H, 1, V)
        view = StepView(3, torch.arange(n), TokenLayout.regular(1, 1, n), attention, previous)
        kept = method.recall(view, count)
        columns = torch.arange(step["attention"].shape[1])
        text = columns[(columns < start) | (columns >= start + n)]
        read = torch.cat([text, kept.anchors + start]).sort().values
        assert read.tolist() == step["expect_keep"].tolist()
        assert (len(kept) < n) == bool(step["expect_pruned"])
        previous = attention


@over("holitom")
def test_holitom_cuts_the_clip_and_finds_still_places_as_the_official_one(case) -> None:
    frames, per_frame, _ = case.features.shape
    segment, static = holitom(case).fold(case.features, keep=0)
    assert ends(segment) == case.expect_windows.tolist()
    assert (static.root >= 0).view(frames, per_frame).tolist() == case.expect_static.tolist()
    remaining = int((static.is_root | (static.root < 0)).sum())
    assert frames * per_frame - remaining == int(case.expect_reduced)


@over("holitom")
def test_holitom_clusters_and_selects_as_the_official_one(case) -> None:
    """With the official counts, which round in every frame and segment."""
    frames, per_frame, _ = case.features.shape
    method, visual = holitom(case), seen(case, attention=case.attention.flatten())
    segment, static = method.fold(case.features, keep=0)
    moving = (static.root < 0).view(frames, per_frame).sum(dim=1)
    still = static.is_root.view(frames, per_frame).sum(dim=1)
    left = int(still.sum() + moving.sum())
    ratio = min(case.knobs["retention_ratio"] * len(visual) / left, 1)
    assert ratio == pytest.approx(float(case.expect_ratio), abs=1e-6)
    counts = torch.stack([(still * ratio).round().long(), (moving * ratio).ceil().long()])
    token_map = method.thin(visual, case.features, segment, static, counts)
    order = case.expect_anchors.argsort(stable=True)
    expected, is_static = case.expect_anchors[order], case.expect_is_static[order]
    assert token_map.tags["static"].tolist() == is_static.tolist()
    if case.id == TIED:
        expected, token_map = expected[~is_static], token_map.then(dynamic(token_map))
        order = order[~is_static]
    assert token_map.anchors.tolist() == expected.tolist()
    assert_as_official(token_map.apply(visual.features), case.expect_values[order])


@over("holitom")
def test_holitom_merges_inside_the_llm_as_the_official_one(case) -> None:
    start, n = case.knobs["inner_visual_start"], case.knobs["inner_visual_tokens"]
    attention = case.inner_attention[:, None, start : start + n]  # (H, 1, V)
    layout = TokenLayout.regular(1, 1, n)
    view = LayerView(18, 0, torch.arange(n), layout, hidden=case.inner_hidden, attention=attention)
    token_map = create("holitom").prune(view, len(case.inner_expect_keep))
    assert token_map.anchors.tolist() == case.inner_expect_keep.tolist()
    assert_as_official(token_map.apply(case.inner_hidden), case.inner_expect_values)


@over("framefusion")
def test_framefusion_merges_and_prunes_as_the_official_one(case) -> None:
    """To as many tokens as the official code left; each stage has an input of its own."""
    knobs, method = case.knobs, create("framefusion")
    layout = TokenLayout.regular(knobs["frames"], 1, knobs["tokens_per_frame"])
    anchors = torch.arange(len(layout))
    for stage in stages(case):
        count, merges = len(stage["expect_keep"]), bool(stage["expect_merges"])
        hidden = stage.get("hidden", torch.zeros(len(anchors), 1))
        attention = stage.get("attention", torch.zeros(1, 0))[:, None]  # (H, 1, S)
        attention = attention[..., knobs["visual_start"] :][..., : len(anchors)]
        view = LayerView(1, int(not merges), anchors, layout, hidden, attention=attention)
        token_map = method.prune(view, count)
        assert token_map.anchors.tolist() == stage["expect_keep"].tolist()
        if merges:
            assert_as_official(token_map.apply(hidden), stage["expect_values"])
        anchors = anchors[token_map.anchors]
        assert anchors.tolist() == stage["expect_original"].tolist()


def vidcom2(case) -> CompressionMethod:
    return create(
        "vidcom2", **{name: case.knobs[name] for name in ("channel_share", "temperature")}
    )


def dynamic(token_map: TokenMap) -> TokenMap:
    """Of the survivors, those that are selected."""
    kept = token_map.tags["dynamic"].nonzero().squeeze(1)
    return TokenMap.select(kept, len(token_map))


def holitom(case) -> CompressionMethod:
    knobs = case.knobs
    return create(
        "holitom",
        static_threshold=knobs["static_threshold"],
        longest=knobs["max_window"],
        neighbours=knobs["neighbours"],
        centre_weight=knobs["beta"] if knobs["blend"] else 0.0,
    )


def ends(segment: torch.Tensor) -> list[list[int]]:
    """The first and the last frame of each segment."""
    length = segment.bincount()
    last = length.cumsum(0) - 1
    return torch.stack([last - length + 1, last], dim=1).tolist()
