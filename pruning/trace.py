"""What became of every original token in a run: what overlays and charts are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from pruning.edges import Edges
from pruning.step import TraceStep
from pruning.tokens import TokenLayout


class Fate(IntEnum):
    """How a token ended: as itself, inside another, or not at all."""

    DROPPED = 0
    MERGED = 1
    KEPT = 2


@dataclass(frozen=True, eq=False)
class TokenTrace:
    """Provenance of N original tokens through every stage of one lane."""

    layout: TokenLayout
    steps: tuple[TraceStep, ...]
    num_layers: int

    def __len__(self) -> int:
        return len(self.layout)

    @cached_property
    def _stages(self) -> list[tuple[int, np.ndarray, Edges]]:
        """Per step: its layer, anchors (K,) in original numbering, and edges (K, N) so far."""
        anchors, edges, stages = np.arange(len(self)), Edges.identity(len(self)), []
        for step in self.steps:
            edges = Edges.of(step.rows, step.cols, step.weights) @ edges
            anchors = np.where(step.anchors >= 0, anchors[step.anchors], -1)
            stages.append((step.layer, anchors, edges))
        return stages

    @property
    def survivors(self) -> np.ndarray:
        """(K,) anchors of the last survivors, in original numbering, −1 = placeless."""
        return self._stages[-1][1] if self.steps else np.arange(len(self))

    @property
    def edges(self) -> Edges:
        """Sparse (K, N): how much of each original token is in each last survivor."""
        return self._stages[-1][2] if self.steps else Edges.identity(len(self))

    @cached_property
    def fate(self) -> np.ndarray:
        """(N,) KEPT | MERGED | DROPPED."""
        fate = np.full(len(self), Fate.DROPPED)
        fate[self.edges.cols] = Fate.MERGED
        fate[self.survivors[self.survivors >= 0]] = Fate.KEPT
        return fate

    @cached_property
    def survivor(self) -> np.ndarray:
        """(N,) the original token that stands for this one at the end; −1 = none, or placeless."""
        row = self.edges.heaviest(len(self))  # (N,)
        owner: np.ndarray = np.append(self.survivors, -1)[row]
        kept = self.survivors[self.survivors >= 0]
        owner[kept] = kept
        return owner

    @cached_property
    def left_at(self) -> np.ndarray:
        """(N,) LLM layer from which nothing of the token is left; `num_layers` if some stays."""
        left = np.full(len(self), self.num_layers)
        for layer, anchors, edges in reversed(self._stages):
            gone = np.ones(len(self), dtype=bool)
            gone[edges.cols] = False
            gone[anchors[anchors >= 0]] = False
            left[gone] = layer
        return left

    def weights_of(self, anchor: int) -> np.ndarray:
        """(N,) what the survivor at `anchor` is made of."""
        made_of = np.zeros(len(self), dtype=np.float32)
        for row in np.flatnonzero(self.survivors == anchor).tolist():
            cols, weights = self.edges.row(row)
            made_of[cols] += weights
        return made_of

    def alive(self, layer: int) -> np.ndarray:
        """Anchors (V,) of the tokens that LLM layer `layer` processes."""
        anchors = np.arange(len(self))
        for step_layer, step_anchors, _ in self._stages:
            if step_layer <= layer:
                anchors = step_anchors
        return anchors

    @cached_property
    def per_layer(self) -> np.ndarray:
        """(L,) visual tokens that each LLM layer processes."""
        return np.array([len(self.alive(layer)) for layer in range(self.num_layers)])

    @property
    def average(self) -> float:
        """The measured retention ratio: tokens averaged over layers, over the placed tokens."""
        return float(self.per_layer.mean()) / self.layout.num_placed

    @property
    def tags(self) -> dict[str, np.ndarray]:
        """Name -> (K,) bool over the last survivors, carried from the step that named them."""
        tags: dict[str, np.ndarray] = {}
        for step in self.steps:
            placed = step.anchors >= 0
            tags = {name: tag[step.anchors] & placed for name, tag in tags.items()}
            tags |= dict(step.tags)
        return tags

    @property
    def segments(self) -> np.ndarray | None:
        """(T,) the segment that the method put each frame in; None where it cuts none."""
        found = (step.segments for step in self.steps if step.segments is not None)
        return next(found, None)

    @property
    def scores(self) -> np.ndarray | None:
        """(N,) the importance that the first stage with scores decided by, NaN where none."""
        anchors = np.arange(len(self))
        for step, (_, later, _) in zip(self.steps, self._stages, strict=True):
            if step.scores is not None:
                scores = np.full(len(self), np.nan, dtype=np.float32)
                scores[anchors[anchors >= 0]] = step.scores[anchors >= 0]
                return scores
            anchors = later
        return None
