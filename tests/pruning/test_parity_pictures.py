"""The newer methods for pictures against stored outputs of their official code."""

from __future__ import annotations

import torch

from pruning.methods import create
from pruning.methods.dart import least_alike, longest
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from tests.pruning.golden import assert_as_official, over
from tests.pruning.synthetic import random


def line(n: int) -> TokenLayout:
    return TokenLayout.regular(1, 1, n)


@over("divprune")
def test_divprune_chooses_in_the_order_of_the_paper(case) -> None:
    visual = VisualTokens(case.features, line(len(case.features)))
    chosen: list[int] = []
    for keep, expected in enumerate(case.expect_order.tolist(), 1):
        kept = create("divprune").compress(visual, keep).anchors.tolist()
        assert set(kept) - set(chosen) == {expected} and set(chosen) < set(kept)
        chosen = kept
    assert chosen == case.expect_keep.tolist()


def test_divprune_keeps_both_of_two_kinds_of_tokens() -> None:
    features = random(1, 4, seed=0).repeat(9, 1)
    features[5] = random(4, seed=1)
    kept = create("divprune").compress(VisualTokens(features, line(9)), 2)
    assert 5 in kept.anchors.tolist()


@over("fastervlm")
def test_fastervlm_is_the_official_one(case) -> None:
    attention = case.attention.mean(dim=0)
    visual = VisualTokens(attention[:, None], line(len(attention)), attention)
    token_map = create("fastervlm").compress(visual, case.knobs["tokens"])
    assert token_map.anchors.tolist() == case.expect_keep.tolist()


def vispruner(case, **knobs: float):
    knobs = {"important_share": case.knobs["important_ratio"], **knobs}
    method = create("vispruner", per_round=case.knobs["per_round"], **knobs)
    visual = VisualTokens(case.features, line(len(case.features)), case.attention)
    return method.compress(visual, case.knobs["tokens"])


@over("vispruner")
def test_vispruner_is_the_official_one(case) -> None:
    token_map = vispruner(case)
    assert token_map.anchors.tolist() == case.expect_keep.tolist()
    important = token_map.anchors[token_map.tags["important"]]
    assert important.tolist() == sorted(case.expect_important.tolist())
    assert token_map.anchors[token_map.tags["diverse"]].tolist() == sorted(
        case.expect_diverse.tolist()
    )


@over("vispruner")
def test_vispruner_with_no_diverse_tokens_is_fastervlm(case) -> None:
    visual = VisualTokens(case.features, line(len(case.features)), case.attention)
    faster = create("fastervlm").compress(visual, case.knobs["tokens"])
    assert torch.equal(vispruner(case, important_share=1.0).anchors, faster.anchors)


def test_vispruner_keeps_both_of_two_kinds_of_tokens() -> None:
    features = torch.cat([random(1, 4, seed=seed).repeat(20, 1) for seed in (0, 1)])
    visual = VisualTokens(features, line(40), torch.full((40,), 1 / 40))
    kept = create("vispruner", important_share=0.0).compress(visual, 4).anchors
    assert 0 < (kept < 20).sum() < 4


def dart(case) -> tuple[torch.Tensor, torch.Tensor, slice, slice]:
    """Hidden states (S, D) and keys (H, S, d) of all rows, and where picture and text lie."""
    start, n = case.knobs["visual_start"], case.knobs["visual_tokens"]
    return case.hidden, case.keys, slice(start, start + n), slice(start + n, None)


@over("dart")
def test_dart_has_the_official_pivots(case) -> None:
    _, keys, picture, text = dart(case)
    visual = longest(keys[:, picture], case.knobs["pivot_visual"])
    assert visual.tolist() == case.expect_pivots_visual.tolist()
    written = longest(keys[:, text], case.knobs["pivot_text"])
    assert written.tolist() == case.expect_pivots_text.tolist()


@over("dart")
def test_dart_picks_the_official_tokens_if_its_pivots_choose_in_the_official_order(case) -> None:
    hidden, _, picture, _ = dart(case)
    pivots, keep = hidden[case.expect_order], len(case.expect_keep)
    picks = least_alike(pivots, hidden[picture], case.expect_pivots_visual, keep)
    by_pivot = picks.view(len(pivots), -1).sort(dim=1).values
    assert by_pivot.tolist() == case.expect_picks.tolist()
    kept = torch.cat([case.expect_pivots_visual, picks]).sort().values
    assert kept.tolist() == case.expect_keep.tolist()


@over("dart")
def test_dart_keeps_nearly_the_official_tokens_in_its_own_order_of_pivots(case) -> None:
    hidden, keys, picture, text = dart(case)
    rows = torch.arange(case.knobs["visual_tokens"])
    method = create(
        "dart", visual_pivots=case.knobs["pivot_visual"], text_pivots=case.knobs["pivot_text"]
    )
    signals = {
        "keys": keys[:, picture],
        "text_keys": keys[:, text],
        "normed": hidden[picture],
        "text_normed": hidden[text],
    }
    token_map = method.prune(
        LayerView(2, 0, rows, line(len(rows)), **signals), len(case.expect_keep)
    )
    kept, official = set(token_map.anchors.tolist()), set(case.expect_keep.tolist())
    assert len(kept) == len(official) and len(kept & official) >= 0.9 * len(kept)
    pivots = token_map.anchors[token_map.tags["pivot"]].tolist()
    assert pivots == sorted(case.expect_pivots_visual.tolist())


def test_dart_does_not_depend_on_the_scale_of_hidden_states() -> None:
    tokens, scales = random(30, 8, seed=0), 0.1 + torch.arange(30.0)[:, None]
    picks = [least_alike(x[:5], x, torch.arange(5), 20) for x in (tokens, tokens * scales)]
    assert torch.equal(*picks)


@over("v2drop")
def test_v2drop_keeps_the_official_tokens_of_each_stage(case) -> None:
    anchors = torch.arange(case.knobs["visual_tokens"])
    for stage, layer in enumerate(case.knobs["layers"]):
        hidden, previous, changed, keep, original = (
            getattr(case, f"stage{stage}_{name}")
            for name in ("hidden", "previous", "expect_variation", "expect_keep", "expect_original")
        )
        layout = line(case.knobs["visual_tokens"])
        view = LayerView(layer, stage, anchors, layout, hidden=hidden, previous=previous)
        token_map = create("v2drop").prune(view, case.knobs["counts"][stage])
        assert_as_official(token_map.scores, changed)
        assert token_map.anchors.tolist() == keep.tolist()
        anchors = anchors[token_map.anchors]
        assert anchors.tolist() == original.tolist()


def test_v2drop_at_the_released_ratio_has_the_released_counts() -> None:
    budget = create("v2drop", retention_ratio=202.8 / 576).budget(576, 32)
    assert budget.inner == ((3, 288), (17, 144), (22, 1))
