"""The newer methods for pictures against stored outputs of their official code."""

from __future__ import annotations

import pytest
import torch

from pruning.methods import create
from pruning.methods.cdpruner import most_volume
from pruning.methods.dart import least_alike, longest
from pruning.ops.similarity import cosine
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


def cdpruner_order(case, count: int) -> list[int]:
    relevance = create("cdpruner", relevance="unlike").weigh(case.image_embeds, case.text_embeds)
    assert_as_official(relevance, case.expect_relevance)
    return most_volume(cosine(case.features, case.features), relevance, count).tolist()


@over("cdpruner")
def test_cdpruner_chooses_in_the_official_order(case) -> None:
    order = cdpruner_order(case, case.knobs["tokens"])
    assert order == case.expect_order.tolist()
    assert sorted(order) == case.expect_keep.tolist()
    assert order[:5] == cdpruner_order(case, 5)


def test_cdpruner_leaves_a_copy_of_a_chosen_token_to_the_last() -> None:
    tokens = random(6, 8, seed=0)
    copied = torch.cat([tokens, tokens[:1]])  # the last is a copy of the most relevant
    weight = torch.tensor([1.0, 0.2, 0.3, 0.2, 0.1, 0.2, 1.0])
    order = most_volume(cosine(copied, copied), weight, 7).tolist()
    assert order[0] == 0 and order[-1] == 6


def test_cdpruner_fills_up_by_relevance_where_tokens_span_no_more() -> None:
    tokens = torch.eye(2)[[0, 1, 0, 1, 0]]
    weight = torch.tensor([0.5, 1.0, 0.1, 0.3, 0.2])
    assert most_volume(cosine(tokens, tokens), weight, 5).tolist() == [1, 0, 3, 4, 2]


def vscan(name: str, case):
    rows, cols = case.knobs["grid"]
    visual = VisualTokens(
        case.features,
        TokenLayout.regular(1, rows, cols),
        case.attention_global,
        shallow_attention=case.attention_local,
    )
    return create(name).compress(visual, case.knobs["tokens"])


def assert_official_scan(token_map, case) -> None:
    assert token_map.anchors.tolist() == case.expect_anchors.tolist()
    assert token_map.anchors[token_map.tags["local"]].tolist() == case.expect_local.tolist()
    assert token_map.anchors[token_map.tags["global"]].tolist() == case.expect_global.tolist()
    owner = torch.empty(token_map.n, dtype=torch.int64).index_copy(
        0, token_map.cols, token_map.rows
    )
    assert owner.tolist() == case.expect_owner.tolist()
    assert_as_official(token_map.apply(case.features), case.expect_values)


@over("vscan", where=lambda case: len(case.expect_anchors) == case.knobs["tokens"])
def test_vscan_is_the_official_one(case) -> None:
    assert_official_scan(vscan("vscan", case), case)


@over("vscan", where=lambda case: len(case.expect_anchors) < case.knobs["tokens"])
def test_vscan_keeps_the_official_tokens_and_those_that_the_release_leaves_out(case) -> None:
    token_map = vscan("vscan", case)
    local = token_map.anchors[token_map.tags["local"]]
    assert local.tolist() == case.expect_local.tolist()
    assert set(case.expect_anchors.tolist()) < set(token_map.anchors.tolist())
    assert len(token_map) == case.knobs["tokens"]


@over("vscan_qwen")
def test_vscan_for_qwen_is_the_official_one(case) -> None:
    assert_official_scan(vscan("vscan:qwen2.5-vl", case), case)


def test_vscan_at_the_published_ratio_has_the_published_counts() -> None:
    budget = create("vscan", retention_ratio=1 / 9).budget(576, 32)
    assert (budget.before, budget.inner) == (96, ((16, 32),))


@pytest.mark.parametrize("name", ["divprune", "cdpruner", "fastervlm", "vispruner"])
@pytest.mark.parametrize(("ratio", "tokens"), [(1 / 3, 192), (2 / 9, 128), (1 / 9, 64)])
def test_the_published_budgets_are_met(name: str, ratio: float, tokens: int) -> None:
    assert create(name, retention_ratio=ratio).budget(576, 32).per_layer(32) == [tokens] * 32


def test_vscan_drops_all_of_a_frame_without_a_share_of_the_budget() -> None:
    layout = TokenLayout.regular(4, 2, 2)
    attention = random(16, seed=1).softmax(0)
    visual = VisualTokens(random(16, 8, seed=0), layout, attention, shallow_attention=attention)
    token_map = create("vscan").compress(visual, 2)
    assert len(token_map) == 2 and len(set((token_map.anchors // 4).tolist())) == 2
