"""The record of what became of every token, on a run small enough to follow by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pruning.step import TraceStep
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout
from pruning.trace import Fate, TokenTrace

LAYERS = 4


@pytest.fixture
def trace() -> TokenTrace:
    """Six tokens: before the LLM 1 folds into 0 and 5 is dropped, before layer 2 token 3 goes."""
    matrix = torch.zeros(4, 6)
    matrix[[0, 1, 2, 3], [0, 2, 3, 4]] = 1
    matrix[0, 1] = 0.5
    first = TokenMap.dense(
        matrix,
        torch.tensor([0, 2, 3, 4]),
        scores=torch.arange(6.0),
        tags={"wide": torch.tensor([True, False, False, False])},
    )
    second = TokenMap.select(torch.tensor([0, 1, 3]), 4, scores=torch.arange(4.0))
    steps = (TraceStep.of(0, first), TraceStep.of(2, second))
    return TokenTrace(TokenLayout.regular(1, 2, 3), steps, LAYERS)


def test_every_token_has_its_fate(trace: TokenTrace) -> None:
    K, M, D = Fate.KEPT, Fate.MERGED, Fate.DROPPED  # noqa: N806
    assert trace.fate.tolist() == [K, M, K, D, K, D]


def test_a_merged_token_points_to_its_survivor(trace: TokenTrace) -> None:
    assert trace.survivor.tolist() == [0, 0, 2, -1, 4, -1]
    assert trace.weights_of(0).tolist() == [1, 0.5, 0, 0, 0, 0]


def test_left_at_is_the_layer_that_dropped_a_token(trace: TokenTrace) -> None:
    assert trace.left_at.tolist() == [4, 4, 4, 2, 4, 0]


def test_layers_count_the_tokens_they_process(trace: TokenTrace) -> None:
    assert trace.per_layer.tolist() == [4, 4, 3, 3]
    assert trace.alive(1).tolist() == [0, 2, 3, 4]
    assert trace.alive(2).tolist() == [0, 2, 4]
    assert trace.average == pytest.approx(3.5 / 6)


def test_tags_end_on_the_survivors_that_still_carry_them(trace: TokenTrace) -> None:
    assert trace.tags["wide"].tolist() == [True, False, False]


def test_scores_are_those_that_decided_first(trace: TokenTrace) -> None:
    assert trace.scores is not None
    assert trace.scores.tolist() == [0, 1, 2, 3, 4, 5]


def test_later_scores_are_nan_for_dropped_tokens() -> None:
    steps = (
        TraceStep.of(0, TokenMap.select(torch.tensor([1, 2]), 3)),
        TraceStep.of(1, TokenMap.select(torch.tensor([0]), 2, scores=torch.tensor([0.7, 0.3]))),
    )
    scores = TokenTrace(TokenLayout.regular(1, 1, 3), steps, LAYERS).scores
    np.testing.assert_allclose(scores, [np.nan, 0.7, 0.3])


def test_without_a_step_everything_is_kept() -> None:
    trace = TokenTrace(TokenLayout.regular(1, 2, 3), (), LAYERS)
    assert (trace.fate == Fate.KEPT).all()
    assert trace.average == 1
    assert trace.scores is None


def test_a_placeless_token_does_not_count_in_the_ratio() -> None:
    layout = TokenLayout.regular(1, 1, 4, placeless=1)
    steps = (TraceStep.of(0, TokenMap.select(torch.tensor([0, 2]), 5)),)
    trace = TokenTrace(layout, steps, LAYERS)
    assert len(trace) == 5
    assert trace.average == 2 / 4


def test_a_survivor_without_an_anchor_has_no_owner() -> None:
    extra = TokenMap.dense(torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]]), torch.tensor([0, -1]))
    trace = TokenTrace(TokenLayout.regular(1, 1, 3), (TraceStep.of(0, extra),), LAYERS)
    assert trace.fate.tolist() == [Fate.KEPT, Fate.MERGED, Fate.MERGED]
    assert trace.survivor.tolist() == [0, -1, -1]


def test_a_record_holds_arrays_of_its_own_kind() -> None:
    step = TraceStep.of(3, TokenMap.identity(4))
    assert step.layer == 3
    assert step.anchors.dtype == np.int64
    assert step.weights.dtype == np.float32


def test_a_survivor_of_two_rows_is_made_of_both() -> None:
    twice = TokenMap.dense(torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0]]), torch.tensor([0, 0]))
    trace = TokenTrace(TokenLayout.regular(1, 1, 3), (TraceStep.of(0, twice),), LAYERS)
    assert trace.weights_of(0).tolist() == [1.5, 0.5, 0]
    assert trace.survivor.tolist() == [0, 0, -1]


def test_the_heaviest_survivor_owns_a_token_and_the_earlier_of_equals() -> None:
    matrix = torch.tensor([[0.0, 1, 0, 2], [0, -3, 0, 2]])
    steps = (TraceStep.of(0, TokenMap.dense(matrix, torch.tensor([0, 2]))),)
    trace = TokenTrace(TokenLayout.regular(1, 1, 4), steps, LAYERS)
    assert trace.survivor.tolist() == [0, 2, 2, 0]


def test_a_million_tokens_are_traced_without_a_dense_matrix() -> None:
    frames, side = 64, 128
    n = frames * side * side  # 1,048,576: a dense (N, N) would take 4 TB
    trees = TokenMap.merge(torch.arange(256), torch.arange(n) % 256)
    kept = TokenMap.select(torch.arange(0, 256, 4), 256)
    steps = (TraceStep.of(0, trees), TraceStep.of(20, kept))
    trace = TokenTrace(TokenLayout.regular(frames, side, side), steps, 28)
    assert int((trace.fate == Fate.MERGED).sum()) == n // 4 - 64
    assert (trace.left_at == 20).sum() == n - n // 4
    assert trace.weights_of(4).sum() == pytest.approx(1)
