"""The record of a TokenMap that ran: numpy arrays on the CPU, ready to be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from pruning.token_map import TokenMap


@dataclass(frozen=True, eq=False)
class TraceStep:
    """One map over the `n` tokens alive before it. `layer` 0 is before the LLM."""

    layer: int
    n: int
    anchors: np.ndarray  # (K,) int64 into the n tokens
    rows: np.ndarray  # (E,) int64
    cols: np.ndarray  # (E,) int64
    weights: np.ndarray  # (E,) float32
    tags: Mapping[str, np.ndarray] = field(default_factory=dict)  # (K,) bool
    scores: np.ndarray | None = None  # (n,) float32
    segments: np.ndarray | None = None  # (T,) int64 segment of each frame

    @classmethod
    def of(cls, layer: int, token_map: TokenMap) -> TraceStep:
        """Copy a map that ran, without its edges of weight zero. Raises as `TokenMap.check`."""
        scores, segments = token_map.scores, token_map.segments
        weights = token_map.weights.float().cpu().numpy()  # (E,)
        counts = weights != 0  # (E,)
        step = cls(
            layer=layer,
            n=token_map.n,
            anchors=token_map.anchors.cpu().numpy(),
            rows=token_map.rows.cpu().numpy()[counts],
            cols=token_map.cols.cpu().numpy()[counts],
            weights=weights[counts],
            tags={name: tag.cpu().numpy() for name, tag in token_map.tags.items()},
            scores=None if scores is None else scores.float().cpu().numpy(),
            segments=None if segments is None else segments.cpu().numpy(),
        )
        step.token_map().check()
        return step

    def token_map(self) -> TokenMap:
        """The map again, on the CPU, without its scores."""
        return TokenMap(
            n=self.n,
            anchors=torch.tensor(self.anchors, dtype=torch.int64),
            rows=torch.tensor(self.rows, dtype=torch.int64),
            cols=torch.tensor(self.cols, dtype=torch.int64),
            weights=torch.tensor(self.weights, dtype=torch.float32),
            tags={name: torch.tensor(tag) for name, tag in self.tags.items()},
            segments=None if self.segments is None else torch.tensor(self.segments),
        )
