"""The result of every compression method: a sparse matrix from n tokens to K survivors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TokenMap:
    """K survivors of `n` tokens: `new[row] += weight · old[col]`, and the place of each row.

    A selected token is a one-hot row, a merged one a row of several weights. Rows need not sum to
    one. Stages compose by matrix product (`then`); the product is the provenance.
    """

    n: int
    anchors: Tensor  # (K,) int64 token whose place each row takes; −1 = placeless; may repeat
    rows: Tensor  # (E,) int64, ascending
    cols: Tensor  # (E,) int64
    weights: Tensor  # (E,) float32
    tags: Mapping[str, Tensor] = field(default_factory=dict)  # name -> (K,) bool
    scores: Tensor | None = None  # (n,) importance of each token
    segments: Tensor | None = None  # (T,) int64 segment of each frame, ascending from 0

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.cols) == len(self.weights):
            raise ValueError("rows, cols and weights must have one entry an edge")
        if len(self.rows):
            limits = self.cols.min(), self.cols.max(), self.rows.max()
            first, last, last_row = torch.stack(limits).tolist()  # at once: a GPU is awaited
            if first < 0 or last >= self.n:
                raise ValueError(f"a column lies outside the {self.n} tokens")
            if last_row >= len(self):
                raise ValueError(f"a row lies outside the {len(self)} survivors")
        for name, tag in self.tags.items():
            if tag.shape != self.anchors.shape:
                raise ValueError(f"tag {name!r} is {tuple(tag.shape)}, wanted ({len(self)},)")

    def __len__(self) -> int:
        """K, the number of survivors."""
        return self.anchors.shape[0]

    @classmethod
    def identity(cls, n: int, device: torch.device | str = "cpu") -> TokenMap:
        return cls.select(torch.arange(n, device=device), n)

    @classmethod
    def select(
        cls,
        indices: Tensor,
        n: int,
        *,
        scores: Tensor | None = None,
        tags: Mapping[str, Tensor] | None = None,
    ) -> TokenMap:
        """Keep `indices` (K,) unchanged, in that order."""
        edges = torch.arange(len(indices), device=indices.device)
        ones = torch.ones(len(indices), device=indices.device)
        return cls(n, indices, edges, indices, ones, tags or {}, scores)

    @classmethod
    def merge(
        cls,
        anchors: Tensor,
        owner: Tensor,
        n: int,
        *,
        scores: Tensor | None = None,
        tags: Mapping[str, Tensor] | None = None,
    ) -> TokenMap:
        """Average the tokens of each `owner` (n,), a row or −1 = dropped."""
        cols = (owner >= 0).nonzero().squeeze(1)  # (E,)
        rows, order = owner[cols].sort(stable=True)
        count = torch.bincount(rows, minlength=len(anchors)).float()  # (K,)
        return cls(n, anchors, rows, cols[order], 1 / count[rows], tags or {}, scores)

    @classmethod
    def dense(
        cls,
        matrix: Tensor,
        anchors: Tensor,
        *,
        scores: Tensor | None = None,
        tags: Mapping[str, Tensor] | None = None,
    ) -> TokenMap:
        """From a full matrix of weights (K, n); zeros become no edges."""
        rows, cols = matrix.nonzero(as_tuple=True)
        weights = matrix[rows, cols].float()
        return cls(matrix.shape[1], anchors, rows, cols, weights, tags or {}, scores)

    @cached_property
    def is_selection(self) -> bool:
        """Whether every row is one token, unchanged. Cached: on a GPU each answer is a wait."""
        if len(self.rows) != len(self):
            return False
        in_order = self.rows == torch.arange(len(self), device=self.rows.device)
        return bool((in_order & (self.weights == 1)).all())

    def matrix(self) -> Tensor:
        """The sparse (K, n) float32 matrix."""
        edges = torch.stack([self.rows, self.cols])
        return torch.sparse_coo_tensor(
            edges, self.weights.float(), (len(self), self.n), check_invariants=False
        )

    def apply(self, x: Tensor) -> Tensor:
        """(n, D) -> (K, D). A selection gathers exactly; a merge sums in float32."""
        if x.shape[0] != self.n:
            raise ValueError(f"got {x.shape[0]} tokens, the map is over {self.n}")
        if self.is_selection:
            return x[self.cols]
        merged: Tensor = torch.sparse.mm(self.matrix(), x.float())
        return merged.to(x.dtype)

    def then(self, later: TokenMap) -> TokenMap:
        """This map followed by `later`, with the anchors and tags of both."""
        if later.n != len(self):
            raise ValueError(f"the later map is over {later.n} tokens, this one leaves {len(self)}")
        rows, cols, weights = self._product(later)
        survivor = later.anchors.clamp_min(0)  # (K',) row of this map, where there is one
        placed = later.anchors >= 0
        carried = {name: tag[survivor] & placed for name, tag in self.tags.items()}
        return TokenMap(
            n=self.n,
            anchors=torch.where(placed, self.anchors[survivor], -1),
            rows=rows,
            cols=cols,
            weights=weights,
            tags=carried | dict(later.tags),
            scores=self.scores,
            segments=later.segments if self.segments is None else self.segments,
        )

    def _product(self, later: TokenMap) -> tuple[Tensor, Tensor, Tensor]:
        """The entries of the product of `later` and this matrix, in raster order."""
        first = torch.searchsorted(self.rows, later.cols)  # (E,)
        count = torch.searchsorted(self.rows, later.cols, right=True) - first
        mine = torch.arange(len(count), device=count.device).repeat_interleave(count)
        before = (first - count.cumsum(0) + count).repeat_interleave(count)
        theirs = torch.arange(len(mine), device=count.device) + before
        place = later.rows[mine] * self.n + self.cols[theirs]
        place, index = torch.unique(place, return_inverse=True)
        entries = later.weights[mine] * self.weights[theirs]
        weights = entries.new_zeros(len(place)).index_add(0, index, entries)
        place, weights = place[weights != 0], weights[weights != 0]
        return place // self.n, place % self.n, weights
