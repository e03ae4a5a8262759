"""What is known of one layout's tokens, said of those of another that lie in the same places."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pruning.tokens import TokenLayout


def by_place(values: Tensor, source: TokenLayout, target: TokenLayout) -> Tensor:
    """Values (M,) of the tokens of `source`, all of them placed, for those of `target`: (N,).

    Equal places take equal values. Else a token takes that of the token under its centre: of the
    same frame or, where only `target` has it, of the one before, else of the first; the mean where
    several overlap there. 0 where none is, and without a place.
    """
    placed = target.placed  # (N,) bool
    carried = values.new_zeros(len(target))
    if same_places(source, target):
        return carried.masked_scatter(torch.from_numpy(placed).to(values.device), values)
    for frame in np.unique(target.frame[placed]):
        shown = shown_at(source.frame, frame)
        theirs, ours = np.flatnonzero(source.frame == shown), target.frame == frame
        under = cover(source.box[theirs], target.box[ours])  # (n, m) bool
        shares = under / under.sum(axis=1, keepdims=True).clip(min=1)
        carried[torch.from_numpy(ours)] = torch.from_numpy(shares).to(values) @ values[theirs]
    return carried


def shown_at(frames: np.ndarray, frame: int) -> int:
    """The last of `frames` up to `frame`, or the first of them all."""
    return int(frames[frames <= frame].max(initial=frames.min()))


def same_places(source: TokenLayout, target: TokenLayout) -> bool:
    placed = target.placed  # (N,) bool
    return np.array_equal(source.frame, target.frame[placed]) and np.array_equal(
        source.box, target.box[placed]
    )


def cover(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) bool: whether each of `boxes` (m, 4) covers the centre of each of `others` (n, 4)."""
    left, top, right, bottom = boxes.T  # (m,) each
    x, y = ((others[:, None, :2] + others[:, None, 2:]) / 2).transpose(2, 0, 1)  # (n, 1) each
    covered: np.ndarray = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    return covered
