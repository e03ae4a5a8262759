"""Transfers values from the tokens of one layout to the tokens of another by their places."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pruning.tokens import TokenLayout


def by_place(values: Tensor, source: TokenLayout, target: TokenLayout) -> Tensor:
    """Values (N,) for the tokens of `target` from values (M,) of `source`, whose tokens are placed.

    In equal layouts each token takes the value of its place. Otherwise it takes the mean of the
    tokens that cover its centre, 0 if there are none. If `source` lacks the frame, the last frame
    before it counts, or else the first one. Placeless tokens take 0.
    """
    placed = target.placed  # (N,) bool
    carried = values.new_zeros(len(target))
    if same_places(source, target):
        return carried.masked_scatter(torch.from_numpy(placed).to(values.device), values)
    for frame in np.unique(target.frame[placed]):
        from_frame = nearest_frame(source.frame, frame)
        sources, targets = np.flatnonzero(source.frame == from_frame), target.frame == frame
        covers = cover(source.box[sources], target.box[targets])  # (n, m) bool
        shares = covers / covers.sum(axis=1, keepdims=True).clip(min=1)
        carried[torch.from_numpy(targets)] = torch.from_numpy(shares).to(values) @ values[sources]
    return carried


def nearest_frame(frames: np.ndarray, frame: int) -> int:
    """The last of `frames` up to `frame`, or else the first."""
    return int(frames[frames <= frame].max(initial=frames.min()))


def same_places(source: TokenLayout, target: TokenLayout) -> bool:
    placed = target.placed  # (N,) bool
    return np.array_equal(source.frame, target.frame[placed]) and np.array_equal(
        source.box, target.box[placed]
    )


def cover(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) bool: whether the centres of `others` (n, 4) lie in `boxes` (m, 4)."""
    left, top, right, bottom = boxes.T  # (m,) each
    x, y = ((others[:, None, :2] + others[:, None, 2:]) / 2).transpose(2, 0, 1)  # (n, 1) each
    covered: np.ndarray = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    return covered
