"""A clip's time line as records: a row a lane, in it a bar a frame and a bar a segment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from app.render.overlay import fate_counts
from app.render.palette import at_layer
from app.render.strip import seconds
from app.render.summary import lane_labels
from models.engine.record import Comparison, LaneResult
from pruning.trace import TokenTrace

NAME, FOOT, HEIGHT = 0.10, 0.80, 0.42  # of a row: its text, and where bars stand and how high
SEGMENT = {"top": 0.85, "foot": 0.96}  # of a row
SHADES = (0.9, 0.4)  # opacities of segments in turn


def frame_bars(comparison: Comparison) -> list[dict[str, Any]]:
    """One record a lane and frame; heights are of the row, and of the fullest frame of all."""
    edges = frame_edges(comparison.media.times)
    bars: list[dict[str, Any]] = []
    for row, (label, lane) in enumerate(ran(comparison)):
        for frame, following in pairwise(token_frames(lane.trace, len(edges) - 1)):
            time = float(comparison.media.times[frame])
            enter = fate_counts(at_layer(lane.trace, 0), frame)["kept"]
            bars.append(
                {
                    "lane": label,
                    "frame": f"frame {frame + 1} at {seconds(time)}",
                    "start": edges[frame],
                    "middle": (edges[frame] + edges[following]) / 2,
                    "end": edges[following],
                    "enter": enter,
                    "kept": fate_counts(lane.trace, frame)["kept"],
                    "foot": row + FOOT,
                }
            )
    most = max((bar["enter"] for bar in bars), default=0) or 1
    for bar in bars:
        for name in ("enter", "kept"):
            bar[f"{name}_top"] = bar["foot"] - HEIGHT * bar[name] / most
    return bars


def segment_bars(comparison: Comparison) -> list[dict[str, Any]]:
    """One record a lane and segment; none for a lane whose method cuts no segments."""
    edges, bars = frame_edges(comparison.media.times), []
    for row, (label, lane) in enumerate(ran(comparison)):
        segments = lane.trace.segments
        if segments is None:
            continue
        frames = token_frames(lane.trace, len(edges) - 1)
        cuts = [*np.flatnonzero(np.diff(segments, prepend=-1)).tolist(), len(segments)]
        for index, (first, last) in enumerate(pairwise(cuts)):
            start, stop = frames[first], frames[last]
            span = f"frame {start + 1}" + (f" to {stop}" if stop > start + 1 else "")
            bars.append(
                {
                    "lane": label,
                    "segment": f"{index + 1} of {len(cuts) - 1}, {span}",
                    "start": edges[start],
                    "end": edges[stop],
                    "shade": SHADES[index % 2],
                    **{name: row + place for name, place in SEGMENT.items()},
                }
            )
    return bars


def clip_notes(comparison: Comparison) -> list[dict[str, Any]]:
    """What stands above each row."""
    notes = []
    for row, (label, lane) in enumerate(ran(comparison)):
        segments = lane.trace.segments
        count = 0 if segments is None else len(np.unique(segments))
        note = f"{count} segment{'s' * (count > 1)}" if count else "cuts no segments"
        notes.append({"lane": label, "note": note, "middle": row + NAME})
    return notes


def token_frames(trace: TokenTrace, num_frames: int) -> list[int]:
    """The frames that have tokens of their own, and where the last one ends.

    Some models see two frames as one; the first of them then stands for both.
    """
    own = np.unique(trace.layout.frame[trace.layout.placed])
    return [*own.tolist(), num_frames]


def frame_edges(times: np.ndarray) -> list[float]:
    """(T + 1) seconds: midway between two frames, and as far again outside the first and last."""
    if len(times) == 1:
        return [float(times[0]), float(times[0]) + 1.0]
    between = (times[1:] + times[:-1]) / 2
    first, last = 2 * times[0] - between[0], 2 * times[-1] - between[-1]
    edges: list[float] = np.concatenate([[max(0.0, first)], between, [last]]).tolist()
    return edges


def ran(comparison: Comparison) -> list[tuple[str, LaneResult]]:
    """The lanes that have a row, with their names."""
    lanes = zip(lane_labels(comparison), comparison.lanes, strict=True)
    return [(label, lane) for label, lane in lanes if isinstance(lane, LaneResult)]
