"""The fate of every original token in a run: the data of overlays and charts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pruning.step import TraceStep
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout


class Fate(IntEnum):
    """The state of a token at the end of a run."""

    DROPPED = 0
    MERGED = 1
    KEPT = 2


class Edges(NamedTuple):
    """The entries of a sparse matrix, in raster order."""

    rows: np.ndarray  # (E,) int64
    cols: np.ndarray  # (E,) int64
    weights: np.ndarray  # (E,) float32


@dataclass(frozen=True, eq=False)
class TokenTrace:
    """Provenance of N original tokens through all stages of one lane."""

    layout: TokenLayout
    steps: tuple[TraceStep, ...]
    num_layers: int

    def __len__(self) -> int:
        return len(self.layout)

    @property
    def num_bytes(self) -> int:
        """The size of the maps of all stages: those that ran, and their products."""
        edges = sum(len(step.rows) for step in self.steps)
        edges += sum(len(token_map.rows) for _, token_map in self._stages)
        return 20 * edges  # two indices and a weight

    @cached_property
    def _stages(self) -> list[tuple[int, TokenMap]]:
        """The layer of each step, and the map from the original tokens to its survivors."""
        token_map, stages = TokenMap.identity(len(self)), []
        for step in self.steps:
            token_map = token_map.then(step.token_map())
            stages.append((step.layer, token_map))
        return stages

    @property
    def _last(self) -> TokenMap:
        return self._stages[-1][1] if self.steps else TokenMap.identity(len(self))

    @property
    def survivors(self) -> np.ndarray:
        """(K,) anchors of the last survivors, in original numbering, −1 = placeless."""
        anchors: np.ndarray = self._last.anchors.numpy()
        return anchors

    @property
    def edges(self) -> Edges:
        """Sparse (K, N): the weight of each original token in each last survivor."""
        last = self._last
        return Edges(last.rows.numpy(), last.cols.numpy(), last.weights.numpy())

    @cached_property
    def fate(self) -> np.ndarray:
        """(N,) KEPT | MERGED | DROPPED."""
        fate = np.full(len(self), Fate.DROPPED)
        fate[self.edges.cols] = Fate.MERGED
        fate[self.survivors[self.survivors >= 0]] = Fate.KEPT
        return fate

    @cached_property
    def survivor(self) -> np.ndarray:
        """(N,) the survivor that each token is kept as or mostly merged into; −1 = none, placeless.

        Of equal weights the earlier survivor counts.
        """
        rows, cols, weights = self.edges
        order = np.lexsort((-np.abs(weights), cols))  # stable: rows stay ascending
        merged, first = np.unique(cols[order], return_index=True)
        survivor = np.full(len(self), -1)
        survivor[merged] = self.survivors[rows[order[first]]]
        kept = self.survivors[self.survivors >= 0]
        survivor[kept] = kept
        return survivor

    @cached_property
    def left_at(self) -> np.ndarray:
        """(N,) LLM layer from which nothing of the token remains; `num_layers` if some remains."""
        left = np.full(len(self), self.num_layers)
        for layer, token_map in reversed(self._stages):
            gone = np.ones(len(self), dtype=bool)
            gone[token_map.cols] = False
            gone[token_map.anchors[token_map.anchors >= 0]] = False
            left[gone] = layer
        return left

    def weights_of(self, anchor: int) -> np.ndarray:
        """(N,) weights of the original tokens in the survivor at `anchor`."""
        rows, cols, weights = self.edges
        own = self.survivors[rows] == anchor
        total = np.zeros(len(self), dtype=np.float32)
        np.add.at(total, cols[own], weights[own])
        return total

    def alive(self, layer: int) -> np.ndarray:
        """Anchors (V,) of the tokens that LLM layer `layer` processes."""
        anchors = np.arange(len(self))
        for step_layer, token_map in self._stages:
            if step_layer <= layer:
                anchors = token_map.anchors.numpy()
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
        """Name -> (K,) bool over the last survivors, carried from the step that set the tag."""
        return {name: tag.numpy() for name, tag in self._last.tags.items()}

    @property
    def segments(self) -> np.ndarray | None:
        """(T,) the segment of each frame; None if the method cuts no segments."""
        segments = self._last.segments
        return None if segments is None else segments.numpy()

    @property
    def scores(self) -> np.ndarray | None:
        """(N,) importance by which the first stage with scores decided, NaN where there is none."""
        anchors = np.arange(len(self))
        for step, (_, token_map) in zip(self.steps, self._stages, strict=True):
            if step.scores is not None:
                scores = np.full(len(self), np.nan, dtype=np.float32)
                scores[anchors[anchors >= 0]] = step.scores[anchors >= 0]
                return scores
            anchors = token_map.anchors.numpy()
        return None
