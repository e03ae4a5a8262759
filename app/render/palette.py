"""All colours, and the assignment of colours to survivors."""

from __future__ import annotations

from itertools import cycle
from weakref import WeakKeyDictionary

import numpy as np

from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

PHASE_COLOURS = {
    "read": "#56B4E9",
    "encode": "#0072B2",
    "compress": "#E69F00",
    "prefill": "#009E73",
    "decode": "#CC79A7",
}
VANILLA_COLOUR = "#777777"
# Contrast of at least 3:1 on a white and on a near-black page.
LANE_COLOURS = ("#0077BB", "#CC3311", "#008A7B", "#AA4AA0", "#A06800", "#5B6ACF")
PADDING = (128, 128, 128)
NO_PLACE = (205, 205, 205)  # tint of tokens merged into a survivor without a place
# The seven of Okabe and Ito, and five that stay distinct with red-green colour blindness.
SURVIVOR_COLOURS = np.array(
    [
        (0xE6, 0x9F, 0x00),
        (0x56, 0xB4, 0xE9),
        (0x00, 0x9E, 0x73),
        (0xF0, 0xE4, 0x42),
        (0x00, 0x72, 0xB2),
        (0xD5, 0x5E, 0x00),
        (0xCC, 0x79, 0xA7),
        (0x55, 0x00, 0xFF),
        (0xBB, 0xEE, 0x99),
        (0x33, 0x77, 0xFF),
        (0x99, 0x33, 0x22),
        (0x99, 0xEE, 0xCC),
    ],
    dtype=np.uint8,
)
# Of scores, from the lowest to the highest rank: ten steps of cividis, as bright in grey.
SCORE_COLOURS = (
    (0x00, 0x22, 0x4E),
    (0x12, 0x35, 0x70),
    (0x3B, 0x49, 0x6C),
    (0x57, 0x5D, 0x6D),
    (0x70, 0x71, 0x73),
    (0x8A, 0x86, 0x78),
    (0xA5, 0x9C, 0x74),
    (0xC3, 0xB3, 0x69),
    (0xE1, 0xCC, 0x55),
    (0xFE, 0xE8, 0x38),
)

_colour_cache: WeakKeyDictionary[TokenTrace, np.ndarray] = WeakKeyDictionary()
_cut_cache: WeakKeyDictionary[TokenTrace, dict[int, TokenTrace]] = WeakKeyDictionary()


def lane_colours(methods: list[str]) -> list[str]:
    """One colour per lane in order; vanilla is always grey."""
    colours = cycle(LANE_COLOURS)
    return [VANILLA_COLOUR if method == "vanilla" else next(colours) for method in methods]


def at_layer(trace: TokenTrace, layer: int | None) -> TokenTrace:
    """The run up to the input of LLM layer `layer`; all of it for None."""
    if layer is None:
        return trace
    return _cut(trace, sum(step.layer <= layer for step in trace.steps))


def survivor_colours(trace: TokenTrace) -> np.ndarray:
    """(N,) row of SURVIVOR_COLOURS for every token that is a survivor at any stage, else −1.

    A survivor prefers the colour of its place on the grid, so that lanes agree. If a neighbour has
    that colour, it takes the next free one, or, if none is free, the one with the shortest common
    border. Two survivors are neighbours if tokens merged into them touch at any stage: a survivor
    has one colour at all layers and in all frames.
    """
    if trace not in _colour_cache:
        _colour_cache[trace] = _assign(trace)
    return _colour_cache[trace]


def _assign(trace: TokenTrace) -> np.ndarray:
    touching = _touching(trace.layout)  # (P, 2)
    borders: dict[int, dict[int, int]] = {}
    members: dict[int, int] = {}
    for stage in range(1, len(trace.steps) + 1):
        survivor = _cut(trace, stage).survivor  # (N,)
        anchors, sizes = np.unique(survivor[survivor >= 0], return_counts=True)
        for anchor, size in zip(anchors.tolist(), sizes.tolist(), strict=True):
            members[anchor] = max(size, members.get(anchor, 0))
        pairs = survivor[touching]  # (P, 2)
        pairs = np.sort(pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs >= 0).all(axis=1)], axis=1)
        edges, counts = np.unique(pairs, axis=0, return_counts=True)
        for (one, other), count in zip(edges.tolist(), counts.tolist(), strict=True):
            for here, there in ((one, other), (other, one)):
                row = borders.setdefault(here, {})
                row[there] = row.get(there, 0) + count

    colours = np.full(len(trace), -1)
    first_choice = _by_place(trace.layout)
    groups_first = sorted(members, key=lambda anchor: (members[anchor] == 1, anchor))
    for anchor in groups_first:
        shared = np.zeros(len(SURVIVOR_COLOURS))
        for neighbour, border in borders.get(anchor, {}).items():
            if colours[neighbour] >= 0:
                shared[colours[neighbour]] += border
        turn = np.roll(np.arange(len(shared)), -first_choice[anchor])
        colours[anchor] = turn[shared[turn].argmin()]
    return colours


def _cut(trace: TokenTrace, stages: int) -> TokenTrace:
    """The run after some stages; cached, because every frame of a clip needs it."""
    if stages == len(trace.steps):
        return trace
    cuts = _cut_cache.setdefault(trace, {})
    if stages not in cuts:
        cuts[stages] = TokenTrace(trace.layout, trace.steps[:stages], trace.num_layers)
    return cuts[stages]


def _by_place(layout: TokenLayout) -> np.ndarray:
    """(N,) the preferred colour of each token."""
    colours = np.arange(len(layout)) % len(SURVIVOR_COLOURS)
    if layout.grid is not None:
        _, row, col = np.indices(layout.grid).reshape(3, -1)
        colours[layout.placed] = (5 * row + 7 * col) % len(SURVIVOR_COLOURS)
    return colours


def _touching(layout: TokenLayout) -> np.ndarray:
    """(P, 2) tokens that share an edge in a frame, or a place in two consecutive frames."""
    placed = np.flatnonzero(layout.placed)
    if layout.grid is not None:  # raster order, as TokenLayout.regular lays it
        raster = placed.reshape(layout.grid)
        sideways = np.stack([raster[:, :, :-1].ravel(), raster[:, :, 1:].ravel()], axis=1)
        downwards = np.stack([raster[:, :-1].ravel(), raster[:, 1:].ravel()], axis=1)
        onwards = np.stack([raster[:-1].ravel(), raster[1:].ravel()], axis=1)
        return np.concatenate([sideways, downwards, onwards])
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for frame in np.unique(layout.frame[placed]):
        tokens = placed[layout.frame[placed] == frame]
        left, top, right, bottom = layout.box[tokens].T
        slack = 0.1 * min((right - left).min(), (bottom - top).min())
        wide = np.minimum.outer(right, right) - np.maximum.outer(left, left)  # (n, n) overlap
        tall = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
        beside = (np.minimum(wide, tall) > -slack) & (np.maximum(wide, tall) > slack)
        pairs.append(tokens[np.argwhere(np.triu(beside, 1))])
    return np.concatenate(pairs)
