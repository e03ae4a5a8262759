"""Joins several token maps into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from pruning.ops.apportion import apportion
from pruning.ops.precision import widest
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout


def joined(
    parts: Mapping[str, TokenMap],
    scores: Tensor | None = None,
    segments: Tensor | None = None,
) -> TokenMap:
    """The survivors of all parts in the order of their anchors, tagged with the parts' names."""
    maps = list(parts.values())
    sizes = torch.tensor([len(part) for part in maps])
    anchors = torch.cat([part.anchors for part in maps])  # (K,)
    device = anchors.device
    kind = torch.arange(len(maps), device=device).repeat_interleave(sizes.to(device))  # (K,)
    offsets = (sizes.cumsum(0) - sizes).tolist()
    rows = torch.cat([part.rows + offset for part, offset in zip(maps, offsets, strict=True)])
    order = anchors.argsort(stable=True)  # (K,); of equal anchors, the earlier part first
    rows, edges = order.argsort()[rows].sort(stable=True)  # (E,)
    return TokenMap(
        n=maps[0].n,
        anchors=anchors[order],
        rows=rows,
        cols=torch.cat([part.cols for part in maps])[edges],
        weights=torch.cat([part.weights for part in maps])[edges],
        tags={name: kind[order] == index for index, name in enumerate(parts)},
        scores=scores,
        segments=segments,
    )


def beside(parts: Sequence[TokenMap], scores: Tensor | None = None) -> TokenMap:
    """One map of the maps of consecutive blocks of tokens."""
    rows = [0, *accumulate(len(part) for part in parts)]
    cols = [0, *accumulate(part.n for part in parts)]
    placed = zip(parts, rows, cols, strict=False)
    moved = [(part.anchors + col, part.rows + row, part.cols + col) for part, row, col in placed]
    anchors, edge_rows, edge_cols = (torch.cat(column) for column in zip(*moved, strict=True))
    placeless = torch.cat([part.anchors for part in parts]) < 0  # (K,)
    return TokenMap(
        n=cols[-1],
        anchors=anchors.masked_fill(placeless, -1),
        rows=edge_rows,
        cols=edge_cols,
        weights=torch.cat([part.weights for part in parts]),
        tags={name: torch.cat([part.tags[name] for part in parts]) for name in parts[0].tags},
        scores=scores,
    )


def frame_by_frame(
    layout: TokenLayout,
    keep: int,
    compress: Callable[[slice, int], TokenMap],
    scores: Tensor | None = None,
) -> TokenMap:
    """Compress each frame of a clip alone, with its share of the budget.

    Args:
        layout: that of all frames, one after another.
        keep: survivors of all frames together.
        compress: returns the map of one frame, given the slice of its tokens and their count.
        scores: (N,) of all frames.
    """
    frame = np.unique(layout.frame, return_inverse=True)[1]  # frames may skip numbers
    sizes = np.bincount(frame)  # (T,)
    room = torch.from_numpy(np.bincount(frame[layout.placed], minlength=len(sizes)))
    counts = apportion(keep * widest(room) / room.sum(), room, keep).tolist()
    stops = sizes.cumsum().tolist()
    frames = [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]
    parts = [compress(frame, count) for frame, count in zip(frames, counts, strict=True)]
    return beside(parts, scores=scores)
