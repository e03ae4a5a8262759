"""The fates of all tokens of a lane as plain data, which the page draws and answers from.

`app.render.overlay` draws the same run for files. Both read one `TokenTrace`, and a test compares
the pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from app.render.canvas import Canvas
from app.render.marks import format_tag, meanings, shapes_of
from app.render.overlay import legend, merged_survivors
from app.render.palette import NO_PLACE, SCORE_COLOURS, SURVIVOR_COLOURS, at_layer, survivor_colours
from models.uploads.media import Media
from pruning.trace import Fate, TokenTrace

Data = dict[str, Any]


def token_data(media: Media, trace: TokenTrace) -> Data:
    """Everything that the page shows of a lane's tokens.

    A stage holds until the next one: its `layer` is the first LLM layer whose input it is. Tokens
    are named by their index among the original tokens.
    """
    layout, scores = trace.layout, trace.scores
    layers = sorted({0, *(step.layer for step in trace.steps)})
    canvas = Canvas.over(media.frames[0], layout, 1000)
    return {
        "extent": canvas.extent,  # xyxy of the drawing area, as fractions of the frame
        "aspect": [media.frames.shape[2], media.frames.shape[1]],
        "grid": layout.grid,
        "layers": trace.num_layers,
        "frame": layout.frame.tolist(),  # (N,)
        "box": [box if placed else None for box, placed in _boxes(trace)],  # (N, 4) xyxy
        "colour": survivor_colours(trace).tolist(),  # (N,) of the palette, −1 = never a survivor
        "left": trace.left_at.tolist(),  # (N,) LLM layer before which it was dropped
        "score": None if scores is None else _numbers(scores),  # (N,)
        "rank": None if scores is None else _ranks(scores),  # (N,) 1 = the highest
        "scores": _score_legend(scores),
        "stages": [_stage(at_layer(trace, layer), layer) for layer in layers],
        "palette": [_hex(rgb) for rgb in (*SURVIVOR_COLOURS.tolist(), NO_PLACE)],
        "heat": [_hex(rgb) for rgb in SCORE_COLOURS],
        "meanings": meanings(),
    }


def _stage(now: TokenTrace, layer: int) -> Data:
    """The tokens as LLM layer `layer` receives them."""
    groups = merged_survivors(now)
    shapes = {int(token): "dot" for token in np.flatnonzero(groups)} | shapes_of(now)
    kinds = {
        int(token): format_tag(tag)
        for tag, members in now.tags.items()
        for token in now.survivors[members]
        if token >= 0
    }
    return {
        "layer": layer,
        "legend": legend(now),
        "fate": now.fate.tolist(),  # (N,) 0 dropped, 1 merged, 2 kept
        "survivor": now.survivor.tolist(),  # (N,) −1 = none or placeless
        "groups": np.flatnonzero(groups & (now.fate == Fate.KEPT)).tolist(),
        "marks": [[t, shape] for t, shape in shapes.items() if now.fate[t] == Fate.KEPT],
        "kinds": kinds,
        "weights": _weights(now),
    }


def _weights(now: TokenTrace) -> dict[int, list[list[float]]]:
    """Survivor -> [token, weight] of its members; a survivor that is only itself is left out."""
    rows, cols, weights = now.edges
    owners = now.survivors[rows] if len(rows) else rows
    alone = np.bincount(owners[owners >= 0], minlength=len(now)) == 1
    members: dict[int, list[list[float]]] = {}
    for owner, col, weight in zip(owners.tolist(), cols.tolist(), weights.tolist(), strict=True):
        if not (owner >= 0 and alone[owner] and owner == col):
            members.setdefault(owner, []).append([col, _short(weight)])
    return members


def _boxes(trace: TokenTrace) -> list[tuple[list[float], bool]]:
    boxes = [[_short(edge) for edge in box] for box in trace.layout.box.tolist()]
    return list(zip(boxes, trace.layout.placed.tolist(), strict=True))


def _numbers(values: np.ndarray) -> list[float | None]:
    return [_short(value) if np.isfinite(value) else None for value in values.tolist()]


def _short(value: float) -> float:
    """Five significant figures: a ten-thousandth of a token, at half the length."""
    return float(f"{value:.5g}")


def _ranks(scores: np.ndarray) -> list[int | None]:
    known = np.isfinite(scores)
    ranks = np.zeros(len(scores), dtype=np.int64)
    ranks[known] = np.argsort(np.argsort(-scores[known], kind="stable"), kind="stable") + 1
    return [rank or None for rank in ranks.tolist()]


def _score_legend(scores: np.ndarray | None) -> str:
    """The text below the map of scores."""
    if scores is None or not np.isfinite(scores).any():
        return "no scores: this method does not rate single tokens"
    known = scores[np.isfinite(scores)]
    return f"bright: high score · {known.min():.3g} to {known.max():.3g}, coloured by rank"


def _hex(rgb: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
