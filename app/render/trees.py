"""Trees of tokens: a survivor and the tokens merged into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.render.canvas import frame_tokens
from app.render.palette import SURVIVOR_COLOURS, at_layer, survivor_colours
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Tree:
    """A survivor and its members, in the numbering of the original tokens."""

    survivor: int
    members: np.ndarray  # (M,) int64, ascending; includes the survivor if it has weight in itself
    weights: np.ndarray  # (M,) float32
    frames: np.ndarray  # (M,) frame of each member
    colour: str  # "#E69F00", the same in every picture

    def __len__(self) -> int:
        return len(self.members)

    @property
    def span(self) -> tuple[int, int]:
        """First and last frame."""
        return int(self.frames.min()), int(self.frames.max())

    @property
    def shares(self) -> np.ndarray:
        """(M,) weight of each member, as a fraction of all."""
        size = np.abs(self.weights)
        shares: np.ndarray = size / size.sum()
        return shares


def tree_of(trace: TokenTrace, survivor: int, layer: int | None = None) -> Tree:
    """The tree of a survivor at the end of the run, or as LLM layer `layer` sees it."""
    now = at_layer(trace, layer)
    weights = now.weights_of(survivor)  # (N,)
    members = np.flatnonzero(weights)
    if survivor < 0 or not len(members):
        when = "at the end" if layer is None else f"at LLM layer {layer}"
        raise ValueError(f"Token {survivor} stands for no token {when}; choose a survivor.")
    rgb = SURVIVOR_COLOURS[survivor_colours(trace)[survivor]].tolist()
    colour = "#{:02X}{:02X}{:02X}".format(*rgb)
    return Tree(survivor, members, weights[members], trace.layout.frame[members], colour)


def largest_trees(trace: TokenTrace, most: int = 12, layer: int | None = None) -> list[Tree]:
    """The trees with the most members, largest first, each with at least two."""
    now = at_layer(trace, layer)
    owner = now.survivors[now.edges.rows]  # (E,)
    pairs = np.stack([owner, now.edges.cols])[:, owner >= 0]
    anchors, sizes = np.unique(np.unique(pairs, axis=1)[0], return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    chosen = anchors[order][sizes[order] > 1][:most]
    return [tree_of(trace, int(anchor), layer) for anchor in chosen]


def tree_on(trace: TokenTrace, frame: int, box: Box, layer: int | None = None) -> Tree | None:
    """The tree that stands for most tokens of a box in a frame, and few others of that frame.

    A token that is shared among survivors counts in parts. A tree may be a single token, kept as it
    is. None if all tokens in the box were dropped.
    """
    now, layout = at_layer(trace, layer), trace.layout
    rows, cols, weights = now.edges
    tokens = frame_tokens(layout, frame)
    inside = np.zeros(len(layout))  # (N,) part of each token's cell that lies in the box
    inside[tokens] = _overlap(layout.box[tokens], box)
    size = np.abs(weights) * (layout.frame[cols] == frame)  # (E,)
    part = size / np.maximum(np.bincount(cols, size, minlength=len(layout)), 1e-12)[cols]
    there = np.bincount(rows, part, minlength=len(now.survivors))  # (K,) tokens in the frame
    found = np.bincount(
        rows, part * inside[cols], minlength=len(there)
    )  # (K,) of these, in the box
    fit = np.where(now.survivors >= 0, found**2 / np.maximum(there, 1e-12), 0)
    if not len(fit) or not fit.max() > 0:
        return None
    return tree_of(trace, int(now.survivors[fit.argmax()]), layer)


def _overlap(cells: np.ndarray, box: Box) -> np.ndarray:
    """(n,) the part of each cell (n, 4) that lies in the box."""
    low, high = np.maximum(cells[:, :2], box[:2]), np.minimum(cells[:, 2:], box[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    parts: np.ndarray = shared / np.prod(cells[:, 2:] - cells[:, :2], axis=1)
    return parts


def token_at(layout: TokenLayout, frame: int, x: float, y: float) -> int | None:
    """The token under a point of a frame, in fractions; the smallest cell if cells overlap."""
    tokens = frame_tokens(layout, frame)
    left, top, right, bottom = layout.box[tokens].T
    under = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    if not under.any():
        return None
    area = (right - left) * (bottom - top)
    return int(tokens[np.where(under, area, np.inf).argmin()])
