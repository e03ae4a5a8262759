"""A sparse matrix as the list of its entries: what provenance is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Edges:
    """`weights` at (`rows`, `cols`) of a matrix, in raster order; zero everywhere else."""

    rows: np.ndarray  # (E,) int64
    cols: np.ndarray  # (E,) int64
    weights: np.ndarray  # (E,) float32

    @classmethod
    def identity(cls, n: int) -> Edges:
        return cls(np.arange(n), np.arange(n), np.ones(n, dtype=np.float32))

    @classmethod
    def of(cls, rows: np.ndarray, cols: np.ndarray, weights: np.ndarray) -> Edges:
        """From entries in any order: those at one place are added, zeros are left out."""
        order = np.lexsort((cols, rows))
        rows, cols, weights = rows[order], cols[order], weights[order]
        fresh = np.ones(len(rows), dtype=bool)  # (E,) the first entry of its place
        fresh[1:] = (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])
        if not fresh.all():
            rows, cols = rows[fresh], cols[fresh]
            weights = np.add.reduceat(weights, np.flatnonzero(fresh))
        edge = weights != 0
        return cls(rows[edge], cols[edge], weights[edge])

    def __matmul__(self, earlier: Edges) -> Edges:
        """The matrix product: what this makes of what `earlier` made."""
        first = np.searchsorted(earlier.rows, self.cols, side="left")  # (E,)
        count = np.searchsorted(earlier.rows, self.cols, side="right") - first  # (E,)
        mine = np.repeat(np.arange(len(count)), count)
        theirs = np.arange(len(mine)) + np.repeat(first - count.cumsum() + count, count)
        weights = self.weights[mine] * earlier.weights[theirs]
        return Edges.of(self.rows[mine], earlier.cols[theirs], weights)

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and weights of one row."""
        start, stop = np.searchsorted(self.rows, [index, index + 1])
        return self.cols[start:stop], self.weights[start:stop]

    def heaviest(self, num_cols: int) -> np.ndarray:
        """(num_cols,) the row that weighs most in each column, the earlier of equals; −1 = none."""
        order = np.lexsort((-np.abs(self.weights), self.cols))  # stable: rows stay ascending
        cols, first = np.unique(self.cols[order], return_index=True)
        owner = np.full(num_cols, -1)
        owner[cols] = self.rows[order[first]]
        return owner
