"""Attention blocking (Nüwa, arXiv 2602.02951): answers without some edges in some layers.

There is no official code. A row still sees itself; rows before the upload stay visible, so
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
    """Edges from rows of one role to rows of one role, in a range of LLM layers."""

    source: str  # of `models.analysis.cells.ROLES`
    layers: range
    target: str = "visual"
    marked: Sequence[Tensor] = ()  # by layer, (V,) bool: the object's rows, if a role is "object"

    def __call__(self, layer: int, rows: Rows) -> Tensor | None:
        """A `Block`: (S, S) bool, True where a query no longer sees a key."""
        if layer not in self.layers:
            return None
        roles = {"visual": rows.visual, "text": rows.text, "last": rows.answering}
        if self.marked:
            roles["object"] = rows.visual[self.marked[layer]]
        closed = torch.zeros(rows.count, rows.count, dtype=torch.bool, device=rows.visual.device)
        closed[roles[self.source][:, None], roles[self.target]] = True
        return closed.fill_diagonal_(False)


def block(opened: Run, edges: Edges, end_ids: frozenset[int], most: int) -> tuple[float, list[int]]:
    """Blocks edges in prefill and in every step of the answer.

    Returns the probability of the answer of `opened`, blocked over open, and the blocked answer's
    greedy ids, `most` at most.
    """
    blocked = run(opened.replay, opened.answer, edges, opened)
    return float((blocked.score - opened.score).exp()), blocked.greedy(end_ids, most)
