"""Explains a changed answer by the fate of the true object's tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.cases.record import Box
from pruning.base import PositionStrategy
from pruning.positions import place
from pruning.tokens import TokenLayout
from pruning.trace import Fate, TokenTrace

LOST_CELLS = 1.0  # shift from which a token's place counts as lost
REASONS = {
    "object dropped": "no kept token lies on the object, and most of its tokens are dropped",
    "object merged away": "no kept token lies on the object, and most of its tokens are merged",
    "object kept, place lost": "kept tokens lie on the object, and their ids mean other cells",
    "object kept, answer changed": "kept tokens lie on the object, at their place",
}


@dataclass(frozen=True)
class ObjectFate:
    """The fate of the tokens on the true object."""

    object_tokens: int
    object_kept: float  # shares of them
    object_merged: float
    object_dropped: float
    on_object: float | None  # of those kept or merged, the share whose survivor lies on the object
    shift: float | None  # cells from a survivor's own place to the place its position id means

    @property
    def reason(self) -> str:
        """A key of `REASONS`: how a changed answer is explained."""
        if self.object_kept == 0:
            dropped = self.object_dropped >= self.object_merged
            return "object dropped" if dropped else "object merged away"
        if (self.shift or 0) >= LOST_CELLS:
            return "object kept, place lost"
        return "object kept, answer changed"


def object_fate(
    box: Box, trace: TokenTrace, strategy: PositionStrategy | None = None
) -> ObjectFate | None:
    """The fate of the object in `box`, on the last frame; None if no token lies there.

    Args:
        strategy: Of the position ids before the LLM, on one axis; None: no shift is computed.
    """
    tokens = tokens_within(box, trace.layout)
    if not len(tokens):
        return None
    fate, survivor = trace.fate[tokens], trace.survivor[tokens]
    left = fate != Fate.DROPPED
    on_object = np.isin(survivor[left], tokens)
    kept = tokens[fate == Fate.KEPT]
    return ObjectFate(
        object_tokens=len(tokens),
        object_kept=float((fate == Fate.KEPT).mean()),
        object_merged=float((fate == Fate.MERGED).mean()),
        object_dropped=float((fate == Fate.DROPPED).mean()),
        on_object=float(on_object.mean()) if left.any() else None,
        shift=_shift(trace, strategy, kept) if strategy and len(kept) else None,
    )


def tokens_within(box: Box, layout: TokenLayout) -> np.ndarray:
    """Tokens (n,) of the last frame whose centre lies in the box; else the one that covers most."""
    last = np.flatnonzero(layout.placed & (layout.frame == layout.frame[layout.placed].max()))
    cells = layout.box[last]  # (n, 4)
    x, y = (cells[:, 0] + cells[:, 2]) / 2, (cells[:, 1] + cells[:, 3]) / 2
    inside = (box[0] <= x) & (x <= box[2]) & (box[1] <= y) & (y <= box[3])
    if inside.any():
        found: np.ndarray = last[inside]
        return found
    wide = np.minimum(box[2], cells[:, 2]) - np.maximum(box[0], cells[:, 0])
    tall = np.minimum(box[3], cells[:, 3]) - np.maximum(box[1], cells[:, 1])
    shared = wide.clip(min=0) * tall.clip(min=0)
    most: np.ndarray = last[[shared.argmax()]]
    return most if shared.max() > 0 else last[:0]


def _shift(trace: TokenTrace, strategy: PositionStrategy, kept: np.ndarray) -> float | None:
    """Mean distance in cells over the `kept` tokens that entered the LLM."""
    layout = trace.layout
    if layout.grid is None:
        return None
    ranks = np.where(layout.placed, np.cumsum(layout.placed) - 1, -1)  # (N,) raster
    anchors = np.arange(len(layout))
    if trace.steps and trace.steps[0].layer == 0:
        anchors = trace.steps[0].anchors
    places = np.where(anchors >= 0, ranks[anchors], -1)  # (K,)
    tensor = trace.steps[0].token_map().anchors if trace.steps else None
    if tensor is None:
        return 0.0
    ids = place(strategy, tensor.new_tensor(places), 0, layout.num_placed)[0].numpy()
    chosen = np.isin(anchors, kept)
    _, _, cols = layout.grid
    apart = np.stack(np.divmod(ids[chosen], cols)) - np.stack(np.divmod(places[chosen], cols))
    return float(np.hypot(*apart).mean()) if chosen.any() else None
