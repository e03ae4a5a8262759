"""Tables of the papers, as stored in `flops.npz`: what methods spend, and what scoring costs."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pruning.base import CompressionMethod
from pruning.methods import create
from pruning.ops.attention import attend
from pruning.ops.similarity import cosine
from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.golden import cases
from tests.pruning.synthetic import random

KINDS = {"overhead", "budget_flashvid", "inner_ratio", "layer_average"}
STAIRCASES = "staircase"  # read by tests/models/test_flops.py
TABLES = {case.id: case for case in cases("flops") if case.knobs["kind"] != STAIRCASES}


def of_kind(kind: str) -> list:
    return [pytest.param(c, id=c.id) for c in TABLES.values() if c.knobs["kind"] == kind]


def rows_of(kind: str) -> list[dict[str, float]]:
    """The rows of the one table of a kind, by the names of its columns."""
    (case,) = (case for case in TABLES.values() if case.knobs["kind"] == kind)
    names = case.knobs["columns"]
    return [dict(zip(names, row, strict=True)) for row in case.expect_table.tolist()]


def test_every_kind_of_table_is_read() -> None:
    assert {case.knobs["kind"] for case in TABLES.values()} == KINDS


@pytest.mark.parametrize("case", of_kind("layer_average"))
def test_a_published_staircase_is_what_the_ratio_gives(case) -> None:
    name, tokens = case.knobs["what"].split()
    method = create(name.lower(), retention_ratio=int(tokens) / 576)
    budget = method.budget(576, 32)
    assert budget.per_layer(32) == case.tokens_per_layer.tolist()
    assert budget.average(32) == case.expect_average


@pytest.mark.parametrize("row", rows_of("inner_ratio"), ids=str)
def test_flashvid_pays_inside_the_llm_what_it_spends_before(row) -> None:
    layers, layer = int(row["layers"]), int(row["pruning_layer"])
    method = create({28: "flashvid", 36: "flashvid:qwen3-vl"}[layers], retention_ratio=0.2)
    budget = method.budget(32 * 200, layers)
    ((at, after),) = budget.inner
    assert (at, budget.before) == (layer, round(1.25 * 0.2 * 32 * 200))
    assert after == pytest.approx(row["inner_retention"] * budget.before, abs=1)


@pytest.mark.parametrize("row", rows_of("budget_flashvid"), ids=str)
def test_flashvid_shares_a_frame_as_published(row) -> None:
    """For the published count; our own is exact, and so less by up to one token in each frame."""
    frames, n = 8, int(row["tokens_per_frame"])
    side = round(n**0.5)
    method = create("flashvid", retention_ratio=row["retention_ratio"], min_segments=1)
    assert 0 <= row["before_llm"] - before(method, frames * n) / frames < 1
    visual = VisualTokens(
        1 + random(frames * n, 4, seed=0),
        TokenLayout.regular(frames, side, side),
        random(frames * n, seed=1).abs(),
    )
    tags = method.compress(visual, frames * int(row["before_llm"])).tags
    spent = tuple(int(tags[name].sum()) / frames for name in ("adts", "tstm"))
    assert spent == (row["adts"], row["tstm"])


def before(method: CompressionMethod, num_tokens: int) -> int:
    return method.budget(num_tokens, 28).before


@pytest.mark.parametrize("case", of_kind("overhead"))
def test_scoring_costs_what_the_paper_counts(case) -> None:
    """One query over all keys; of survivors with each other, multiply-accumulates, not FLOPs."""
    attention, *similar = case.knobs["terms"]
    queries, keys, width, _ = attention
    heads = width // 128
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        attend(torch.empty(heads, queries, 128), torch.empty(heads, keys, 128), 1.0)
        flops = counter.get_total_flops()
        for survivors, others, depth, _ in similar:
            cosine(torch.empty(survivors, depth), torch.empty(others, depth))
    total = flops + (counter.get_total_flops() - flops) / 2
    assert total / 1e6 == pytest.approx(float(case.expect_mflops), rel=1e-9)
    assert total / 1e6 == pytest.approx(case.knobs["published"], rel=1e-4)
