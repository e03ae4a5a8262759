"""Sparse matrices as lists of entries, against the same in full."""

from __future__ import annotations

import numpy as np
import pytest

from pruning.edges import Edges


def drawn(rows: int, cols: int, seed: int) -> tuple[Edges, np.ndarray]:
    """A matrix with a fifth of its places filled: as edges, and in full."""
    draw = np.random.default_rng(seed)
    matrix = (draw.normal(size=(rows, cols)) * (draw.random((rows, cols)) < 0.2)).astype("f4")
    at = draw.permutation(np.argwhere(matrix))
    return Edges.of(at[:, 0], at[:, 1], matrix[at[:, 0], at[:, 1]]), matrix


def full(edges: Edges, rows: int, cols: int) -> np.ndarray:
    matrix = np.zeros((rows, cols), dtype=np.float32)
    matrix[edges.rows, edges.cols] = edges.weights
    return matrix


@pytest.mark.parametrize("seed", range(4))
def test_a_product_is_the_product_of_the_full_matrices(seed: int) -> None:
    (later, a), (earlier, b) = drawn(9, 14, seed), drawn(14, 30, seed + 10)
    product = later @ earlier
    np.testing.assert_allclose(full(product, 9, 30), a @ b, atol=1e-6)
    assert (np.diff(product.rows * 30 + product.cols) > 0).all()


def test_entries_at_one_place_are_added_and_zeros_are_no_edges() -> None:
    edges = Edges.of(
        np.array([1, 0, 1, 1]), np.array([2, 0, 2, 0]), np.array([0.5, 2, 0.25, 0], dtype="f4")
    )
    assert (edges.rows.tolist(), edges.cols.tolist()) == ([0, 1], [0, 2])
    assert edges.weights.tolist() == [2, 0.75]
    assert edges.weights.dtype == np.float32


def test_what_cancels_is_gone() -> None:
    both = Edges.of(np.array([0, 0]), np.array([0, 1]), np.array([1, -1], dtype="f4"))
    same = Edges.of(np.array([0, 1]), np.array([0, 0]), np.array([3, 3], dtype="f4"))
    assert len((both @ same).rows) == 0


def test_the_identity_changes_nothing() -> None:
    edges, matrix = drawn(5, 7, 0)
    assert (full(Edges.identity(5) @ edges, 5, 7) == matrix).all()
    assert (full(edges @ Edges.identity(7), 5, 7) == matrix).all()


def test_a_row_is_found_in_its_place() -> None:
    edges, matrix = drawn(6, 8, 3)
    for index in range(6):
        cols, weights = edges.row(index)
        assert cols.tolist() == np.flatnonzero(matrix[index]).tolist()
        assert (weights == matrix[index, cols]).all()


def test_the_heaviest_row_owns_a_column_and_the_earlier_of_equals() -> None:
    matrix = np.array([[0, 1, 0, 2], [0, -3, 0, 2]], dtype="f4")
    rows, cols = np.nonzero(matrix)
    assert Edges.of(rows, cols, matrix[rows, cols]).heaviest(4).tolist() == [-1, 1, -1, 0]
