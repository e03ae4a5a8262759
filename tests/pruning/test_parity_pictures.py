"""The newer methods for pictures against stored outputs of their official code."""

from __future__ import annotations

import torch

from pruning.methods import create
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.golden import over
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
