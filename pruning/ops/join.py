"""Joins several token maps into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate, groupby
from typing import Any

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
    offsets = [0, *accumulate(map(len, maps))]
    anchors = torch.cat([part.anchors for part in maps])  # (K,)
    kinds = [torch.full_like(part.anchors, index) for index, part in enumerate(maps)]
    rows = torch.cat([part.rows + offset for part, offset in zip(maps, offsets, strict=False)])
    order = anchors.argsort(stable=True)  # (K,); of equal anchors, the earlier part first
    kind = torch.cat(kinds)[order]  # (K,)
    rows, edges = order.argsort()[rows].sort(stable=True)  # (E,)
    return TokenMap(
        n=maps[0].n,
        anchors=anchors[order],
        rows=rows,
        cols=torch.cat([part.cols for part in maps])[edges],
        weights=torch.cat([part.weights for part in maps])[edges],
        tags={name: kind == index for index, name in enumerate(parts)},
        scores=scores,
        segments=segments,
        is_selection=all(part.is_selection for part in maps),
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
        is_selection=all(part.is_selection for part in parts),
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
    sizes, counts = shares_of(layout, keep)
    stops = list(accumulate(sizes))
    frames = [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]
    parts = [compress(frame, count) for frame, count in zip(frames, counts, strict=True)]
    return beside(parts, scores=scores)


def frames_at_once(
    layout: TokenLayout,
    keep: int,
    compress: Callable[..., TokenMap],
    *signals: Tensor,
    scores: Tensor | None = None,
) -> TokenMap:
    """`frame_by_frame` in a few launches: frames of one size and count run together, by `vmap`.

    Args:
        layout: that of all frames, one after another.
        keep: survivors of all frames together.
        compress: returns the map of one frame, given its `signals` and the count. Sizes in it
            follow from the sizes of its arguments and from the count alone.
        signals: (N, …) each, of all frames.
        scores: (N,) of all frames.
    """
    parts, start = [], 0
    for (size, count), run in groupby(zip(*shares_of(layout, keep), strict=True)):
        frames = len(list(run))
        stop = start + frames * size
        blocks = [signal[start:stop].reshape(frames, size, *signal.shape[1:]) for signal in signals]
        parts.append(side_by_side(partial(compress, count=count), blocks))
        start = stop
    return beside(parts, scores=scores)


def side_by_side(compress: Callable[..., TokenMap], blocks: Sequence[Tensor]) -> TokenMap:
    """One map of the maps of F frames, whose signals are `blocks` (F, n, …)."""
    frames, size = blocks[0].shape[:2]
    if frames == 1:
        return compress(*(block[0] for block in blocks))
    made: list[TokenMap] = []

    def fields_of(*signals: Tensor) -> tuple[Any, ...]:
        made.append(compress(*signals))
        return made[0].anchors, made[0].rows, made[0].cols, made[0].weights, made[0].tags

    anchors, rows, cols, weights, tags = torch.vmap(fields_of)(*blocks)  # (F, K), (F, E), …
    frame = torch.arange(frames, device=anchors.device)[:, None]  # (F, 1)
    return TokenMap(
        n=frames * size,
        anchors=torch.where(anchors < 0, -1, anchors + frame * size).flatten(),
        rows=(rows + frame * anchors.shape[1]).flatten(),
        cols=(cols + frame * size).flatten(),
        weights=weights.flatten(),
        tags={name: tag.flatten() for name, tag in tags.items()},
        is_selection=made[0].is_selection,
    )


def shares_of(layout: TokenLayout, keep: int) -> tuple[list[int], list[int]]:
    """T sizes of the frames, and their shares of the budget, in proportion to placed tokens."""
    frame = np.unique(layout.frame, return_inverse=True)[1]  # frames may skip numbers
    sizes = np.bincount(frame)  # (T,)
    room = torch.from_numpy(np.bincount(frame[layout.placed], minlength=len(sizes)))
    return sizes.tolist(), apportion(keep * widest(room) / room.sum(), room, keep).tolist()
