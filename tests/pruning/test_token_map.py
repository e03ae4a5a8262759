"""The sparse matrix that every method returns."""

from __future__ import annotations

import pytest
import torch

from pruning.step import TraceStep
from pruning.token_map import TokenMap

FEATURES = torch.tensor([[1.0, 0.0], [2.0, 1.0], [4.0, 0.0], [8.0, 3.0]])


def test_the_identity_changes_nothing() -> None:
    token_map = TokenMap.identity(4)
    assert token_map.is_selection
    assert torch.equal(token_map.apply(FEATURES), FEATURES)


def test_a_selection_is_a_gather_bit_for_bit() -> None:
    features = FEATURES.double() / 3
    token_map = TokenMap.select(torch.tensor([3, 1]), 4)
    assert token_map.is_selection
    assert torch.equal(token_map.apply(features), features[[3, 1]])


def test_a_merge_averages_the_tokens_of_an_owner() -> None:
    token_map = TokenMap.merge(torch.tensor([0, 3]), torch.tensor([0, 0, -1, 1]))
    assert not token_map.is_selection
    assert token_map.apply(FEATURES).tolist() == [[1.5, 0.5], [8.0, 3.0]]


def test_a_dense_matrix_comes_back_as_it_was() -> None:
    matrix = torch.tensor([[0.0, 2.0, 0.0, -1.0], [0.5, 0.0, 0.0, 0.0]])
    token_map = TokenMap.dense(matrix, torch.tensor([1, -1]))
    assert len(token_map.rows) == 3
    assert torch.equal(token_map.matrix().to_dense(), matrix)
    torch.testing.assert_close(token_map.apply(FEATURES), matrix @ FEATURES)


def test_merging_half_precision_sums_in_float32() -> None:
    ones = torch.ones(4096, 1, dtype=torch.bfloat16)
    owner = torch.zeros(4096, dtype=torch.int64)
    merged = TokenMap.merge(torch.tensor([0]), owner).apply(ones)
    assert merged.dtype == torch.bfloat16
    assert merged.item() == 1


def test_composing_carries_anchors_and_tags_through() -> None:
    first = TokenMap.select(
        torch.tensor([0, 2, 3]), 4, tags={"early": torch.tensor([True, False, True])}
    )
    second = TokenMap.dense(
        torch.tensor([[0.0, 0.5, 0.5], [1.0, 1.0, 1.0]]),
        torch.tensor([2, -1]),
        tags={"late": torch.tensor([False, True])},
    )
    both = first.then(second)
    assert both.anchors.tolist() == [3, -1]
    assert both.tags["early"].tolist() == [True, False]
    assert both.tags["late"].tolist() == [False, True]
    torch.testing.assert_close(both.apply(FEATURES), second.apply(first.apply(FEATURES)))


def drawn(rows: int, cols: int, seed: int) -> tuple[TokenMap, torch.Tensor]:
    """A matrix with a fifth of its entries set, as a map and in full."""
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, cols, generator=draw)
    matrix *= torch.rand(rows, cols, generator=draw) < 0.2
    return TokenMap.dense(matrix, torch.arange(rows)), matrix


@pytest.mark.parametrize("seed", range(4))
def test_composing_multiplies_the_matrices_and_sorts_the_edges(seed: int) -> None:
    (first, a), (later, b) = drawn(14, 30, seed), drawn(9, 14, seed + 10)
    both = first.then(later)
    torch.testing.assert_close(both.matrix().to_dense(), b @ a, atol=1e-6, rtol=0)
    assert ((both.rows * 30 + both.cols).diff() > 0).all()
    for unchanged in (TokenMap.identity(30).then(first), first.then(TokenMap.identity(14))):
        assert torch.equal(unchanged.matrix().to_dense(), a)


def test_composing_adds_edges_at_one_place_and_leaves_zeros_out() -> None:
    edges = torch.tensor([[1, 0, 1, 1], [2, 0, 2, 0]])
    odd = TokenMap(3, torch.arange(2), *edges, torch.tensor([0.5, 2, 0.25, 0]))
    both = TokenMap.identity(3).then(odd)
    assert (both.rows.tolist(), both.cols.tolist()) == ([0, 1], [0, 2])
    assert both.weights.tolist() == [2, 0.75] and both.weights.dtype == torch.float32
    equal = TokenMap.dense(torch.tensor([[3.0], [3.0]]), torch.tensor([0, -1]))
    difference = TokenMap.dense(torch.tensor([[1.0, -1.0]]), torch.tensor([0]))
    assert len(equal.then(difference).rows) == 0


@pytest.mark.parametrize(("row", "col"), [(0, 4), (0, -1), (1, 0)])
def test_an_edge_outside_the_map_is_refused_before_it_is_used(row: int, col: int) -> None:
    edge = torch.tensor([row]), torch.tensor([col]), torch.ones(1)
    wrong = TokenMap(4, torch.tensor([0]), *edge)
    for use in (
        lambda: wrong.apply(FEATURES),
        lambda: wrong.then(TokenMap.identity(1)),
        lambda: TokenMap.identity(4).then(wrong),
        lambda: TraceStep.of(0, wrong),
    ):
        with pytest.raises(ValueError, match=r"outside the (4 tokens|1 survivors)"):
            use()


def test_a_trace_leaves_out_edges_of_weight_zero() -> None:
    step = TraceStep.of(0, TokenMap.merge(torch.tensor([2]), torch.tensor([-1, 0, 0, -1])))
    assert (step.rows.tolist(), step.cols.tolist()) == ([0, 0], [1, 2])


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="over 3 tokens, this one leaves 4"):
        TokenMap.identity(4).then(TokenMap.identity(3))
    with pytest.raises(ValueError, match="got 4 tokens, the map is over 3"):
        TokenMap.identity(3).apply(FEATURES)


def test_a_tag_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="tag 'odd'"):
        TokenMap.select(torch.tensor([0, 1]), 4, tags={"odd": torch.tensor([True])})
