"""The result of every compression method: a sparse matrix from n tokens to K survivors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    is_selection: bool = False  # row k is token cols[k], unchanged

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.cols) == len(self.weights):
            raise ValueError("rows, cols and weights must have one entry an edge")
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
        return cls(n, indices, edges, indices, ones, tags or {}, scores, is_selection=True)

    @classmethod
    def merge(
        cls,
        anchors: Tensor,
        owner: Tensor,
        weights: Tensor | None = None,
        *,
        scores: Tensor | None = None,
        tags: Mapping[str, Tensor] | None = None,
    ) -> TokenMap:
        """Add up the tokens of each `owner` (n,), a row or −1 = dropped; default weights: the mean.

        A dropped token stays as an edge of weight zero, so the host does not wait for their number.
        """
        if not len(anchors):
            return cls.select(anchors, len(owner), scores=scores, tags=tags)
        if weights is None:
            row = owner.clamp_min(0)  # (n,)
            weights = 1 / torch.zeros_like(anchors).index_add(0, row, (owner >= 0).long())[row]
        rows, cols = owner.sort(stable=True)  # (n,)
        weights = weights.float()[cols].masked_fill(rows < 0, 0)
        return cls(len(owner), anchors, rows.clamp_min(0), cols, weights, tags or {}, scores)

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

    def check(self) -> None:
        """Raise ValueError for an edge outside the map. Does nothing for a map on a GPU.

        The check would make the host wait; a trace checks its copies on the CPU.
        """
        if len(self.rows) and self.rows.device.type == "cpu":
            limits = self.cols.min(), self.cols.max(), self.rows.max()
            first, last, last_row = torch.stack(limits).tolist()
            if first < 0 or last >= self.n:
                raise ValueError(f"a column lies outside the {self.n} tokens")
            if last_row >= len(self):
                raise ValueError(f"a row lies outside the {len(self)} survivors")

    def matrix(self) -> Tensor:
        """The sparse (K, n) float32 matrix."""
        edges, shape = torch.stack([self.rows, self.cols]), (len(self), self.n)
        return torch.sparse_coo_tensor(  # rows ascend: to sort them makes the host wait
            edges, self.weights.float(), shape, check_invariants=False, is_coalesced=True
        )

    def apply(self, x: Tensor) -> Tensor:
        """(n, D) -> (K, D). A selection gathers exactly; a merge sums in float32."""
        if x.shape[0] != self.n:
            raise ValueError(f"got {x.shape[0]} tokens, the map is over {self.n}")
        self.check()
        if self.is_selection:
            return x[self.cols]
        merged: Tensor = torch.sparse.mm(self.matrix(), x.float())
        return merged.to(x.dtype)

    def then(self, later: TokenMap) -> TokenMap:
        """This map followed by `later`, with the anchors and tags of both."""
        if later.n != len(self):
            raise ValueError(f"the later map is over {later.n} tokens, this one leaves {len(self)}")
        self.check()
        later.check()
        is_selection = self.is_selection and later.is_selection
        rows, cols, weights = (
            (later.rows, self.cols[later.cols], later.weights)
            if is_selection
            else self._product(later)
        )
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
            is_selection=is_selection,
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
