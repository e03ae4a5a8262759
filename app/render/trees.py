"""Trees of tokens: a survivor and the tokens merged into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.render.canvas import frame_tokens
from app.render.palette import SURVIVOR_COLOURS, at_layer, survivor_colours
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

Box = tuple[float, float, float, float]
FINE = 96  # pixels of a frame's side on which changes are measured
NOISE = 12  # of 255: a smaller change is that of a video codec


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

    None if all tokens in the box were dropped.
    """
    layout = trace.layout
    tokens = frame_tokens(layout, frame)
    inside = np.full(len(layout), np.nan)
    inside[tokens] = _overlap(layout.box[tokens], box)
    return fittest_tree(trace, inside, layer)


def tree_on_change(trace: TokenTrace, frames: np.ndarray, layer: int | None = None) -> Tree | None:
    """The tree that stands for most of what changes in a clip, and little that does not.

    Args:
        frames: (T, H, W, 3) uint8.

    Returns:
        None if nothing changes, or if all tokens of what changes were dropped.
    """
    fine = frames[:, :: max(1, frames.shape[1] // FINE), :: max(1, frames.shape[2] // FINE)]
    usual = np.median(fine, axis=0)
    change = np.abs(fine - usual).mean(axis=-1) > NOISE  # (T, H, W)
    layout, size = trace.layout, np.array(change.shape[1:])
    changed = np.full(len(layout), np.nan)
    for token in np.flatnonzero(layout.placed):
        left, top, right, bottom = layout.box[token]
        low = np.floor(np.array([top, left]) * size).astype(int)
        high = np.maximum(np.ceil(np.array([bottom, right]) * size).astype(int), low + 1)
        changed[token] = change[layout.frame[token], low[0] : high[0], low[1] : high[1]].mean()
    return fittest_tree(trace, changed, layer)


def fittest_tree(trace: TokenTrace, wanted: np.ndarray, layer: int | None = None) -> Tree | None:
    """The tree that stands for most of what is wanted and for little else.

    A token that is shared among survivors counts in parts. A tree may be a single token, kept as it
    is.

    Args:
        wanted: (N,) how much each token is wanted, NaN for tokens that do not count.

    Returns:
        None if nothing is wanted, or if all tokens that are wanted were dropped.
    """
    now = at_layer(trace, layer)
    rows, cols, weights = now.edges
    size = np.abs(weights) * np.isfinite(wanted)[cols]  # (E,)
    part = size / np.maximum(np.bincount(cols, size, minlength=len(wanted)), 1e-12)[cols]
    there = np.bincount(rows, part, minlength=len(now.survivors))  # (K,) tokens that count
    found = np.bincount(rows, part * np.nan_to_num(wanted)[cols], minlength=len(there))  # (K,)
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
