"""The video methods against stored outputs of their official code."""

from __future__ import annotations

import torch

from pruning.base import CompressionMethod
from pruning.methods import create
from pruning.methods.flashvid import FlashVID
from pruning.ops.diverse import diverse, relevance
from pruning.ops.segment import segments
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from tests.pruning.golden import assert_as_official, over


def flashvid(case) -> FlashVID:
    knobs = {name: case.knobs[name] for name in ("alpha", "expansion", "merge_threshold")}
    segmenting = {"min_segments": 1, "segment_threshold": -1.0}
    if case.knobs["segment"]:
        segmenting = {name: case.knobs[name] for name in segmenting}
    event = "segment" if case.knobs["event_relevance"] else "none"
    return create("flashvid:official", event_relevance=event, **knobs, **segmenting)


def compressed(case, method: CompressionMethod, **signals: torch.Tensor) -> TokenMap:
    """To as many tokens as the official code left, which rounds in every frame or segment."""
    frames, per_frame, _ = case.features.shape
    side = round(per_frame**0.5)
    layout = TokenLayout.regular(frames, side, side)
    features = case.features.flatten(0, 1)
    visual = VisualTokens(features, layout, case.attention.flatten(), **signals)
    return method.compress(visual, len(case.expect_anchors))


@over("flashvid")
def test_flashvid_is_the_official_one(case) -> None:
    token_map = compressed(case, flashvid(case))
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert token_map.tags["adts"].tolist() == case.expect_is_adts.tolist()
    assert token_map.tags["tstm"].tolist() == (~case.expect_is_adts).tolist()
    survivors = token_map.apply(case.features.flatten(0, 1))
    assert_as_official(survivors, case.expect_values)
    selected = case.features.flatten(0, 1)[case.expect_anchors[case.expect_is_adts]]
    assert torch.equal(survivors[case.expect_is_adts], selected)


@over("flashvid")
def test_flashvid_cuts_the_clip_where_the_official_one_does(case) -> None:
    method = flashvid(case)
    assert method.cut(case.features).bincount().tolist() == case.expect_segment_lengths.tolist()


@over("flashvid")
def test_flashvid_selects_as_both_official_selectors(case) -> None:
    clip = torch.zeros(len(case.features), dtype=torch.int64)
    event = relevance(case.features, clip)
    for weight, expected in (
        (case.attention, case.expect_adts_v1),
        (case.attention * event, case.expect_adts_v2),
    ):
        selected = diverse(case.features, weight, case.knobs["adts_count"])
        assert selected.nonzero()[:, 1].view_as(expected).tolist() == expected.tolist()


@over("flashvid")
def test_flashvid_drops_inside_the_llm_as_the_official_one(case) -> None:
    start, n = case.knobs["inner_visual_start"], case.knobs["inner_visual_tokens"]
    attention = case.inner_attention[:, None, start : start + n]  # (H, 1, V)
    layout = TokenLayout.regular(1, 1, n)
    view = LayerView(20, 0, torch.arange(n), layout, attention=attention)
    token_map = create("flashvid:official").prune(view, len(case.inner_expect_keep))
    assert token_map.anchors.tolist() == case.inner_expect_keep.tolist()


@over("fastvid")
def test_fastvid_is_the_official_one(case) -> None:
    knobs = ("context_share", "min_segments", "segment_threshold", "anchor_interval", "beta")
    method = create("fastvid:official", **{name: case.knobs[name] for name in knobs})
    lengths = segments(case.frame_features, method.min_segments, method.segment_threshold)
    assert lengths.bincount().tolist() == case.expect_segment_lengths.tolist()
    token_map = compressed(case, method, frames=case.frame_features)
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert token_map.tags["salient"].tolist() == case.expect_is_salient.tolist()
    assert_as_official(token_map.apply(case.features.flatten(0, 1)), case.expect_values)
