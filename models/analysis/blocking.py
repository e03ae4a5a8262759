"""Attention blocking (Nüwa, arXiv 2602.02951): answers without some edges in some layers.

There is no official code. A visual row still sees itself; rows before the upload stay visible, so
no row is left without keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.engine.replay import Rows
from models.engine.rerun import Run, run


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges from rows of one role to visual rows, in a range of LLM layers."""

    source: str  # of `models.analysis.cells.SOURCES`
    layers: range
    targets: Sequence[Tensor] | None = None  # by layer, (V,) bool; None = every visual row

    def __call__(self, layer: int, rows: Rows) -> Tensor | None:
        """A `Block`: (S, S) bool, True where a query no longer sees a key."""
        if layer not in self.layers:
            return None
        sources = {"visual": rows.visual, "text": rows.text, "last": rows.answering}[self.source]
        seen = rows.visual
        if self.targets is not None:
            seen = seen[self.targets[layer]]
        closed = torch.zeros(rows.count, rows.count, dtype=torch.bool, device=seen.device)
        closed[sources[:, None], seen] = True
        return closed.fill_diagonal_(False)


def block(opened: Run, edges: Edges, end_ids: frozenset[int], most: int) -> tuple[float, list[int]]:
    """Blocks edges in prefill and in every step of the answer.

    Returns the probability of the answer of `opened`, blocked over open, and the blocked answer's
    greedy ids, `most` at most.
    """
    blocked = run(opened.replay, opened.answer, edges, opened)
    return float((blocked.score - opened.score).exp()), blocked.greedy(end_ids, most)
