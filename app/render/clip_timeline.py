"""Chart of a clip over time: the tokens of each frame, and the segments of each method."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from app.render.chart import INK, Spec, data, field, fields, mark, style_chart
from app.render.overlay import fate_counts
from app.render.palette import at_layer, lane_colours
from app.render.summary import conditions_line, finished_lanes, lane_labels
from app.render.text import format_seconds
from models.engine.record import Comparison
from pruning.trace import TokenTrace

ROW = 92  # pixels per lane
NAME, FOOT, HEIGHT = 0.10, 0.80, 0.42  # fractions of a row: text, foot and height of the bars
SEGMENT = {"top": 0.85, "foot": 0.96}
SHADES = (0.9, 0.4)  # opacities of segments in turn
MOST_COUNTS = 16  # frames, so that a count fits over each bar
AXIS = ["seconds into the clip", "bar: tokens that enter the LLM · filled: kept to the end"]
BAR = mark("bar", xOffset=1, x2Offset=-1)
SPAN = {
    "x": field(
        "start:Q",
        title=AXIS,
        axis={"tickCount": 6, "grid": False},
        scale={"nice": False, "zero": False},
    ),
    "x2": {"field": "end"},
}


def clip_timeline_chart(comparison: Comparison) -> Spec:
    """One row per lane with a bar for each frame, and the segments of the method below.

    The bar shows the tokens that enter the LLM, its filled part those kept to the end. A frame
    lasts from midway to the previous frame to midway to the next.
    """
    rows = len(finished_lanes(comparison))
    layers = [_frames(comparison, rows), _segments(comparison), _names(comparison)]
    return style_chart({"layer": layers}, conditions_line(comparison), ROW * max(1, rows))


def _frames(comparison: Comparison, rows: int) -> Spec:
    colours = lane_colours([lane.method for lane in comparison.lanes])
    look = {"legend": None, "scale": {"domain": lane_labels(comparison), "range": colours}}
    scale = {"domain": [0, max(1, rows)], "reverse": True, "nice": False}
    enter, foot = field("enter_top:Q", axis=None, scale=scale), {"field": "foot"}
    lines = fields("lane:N", "frame:N", enter="tokens into the LLM", kept="kept to the end")
    about = {"tooltip": lines}  # in every layer: a shared encoding must not hold a list
    outline = {
        "y": enter,
        "y2": foot,
        "stroke": field("lane:N", **look),
        "fillOpacity": {"value": 0.3},
    }
    layers = [
        {**BAR, "encoding": {**SPAN, **outline, **about}},
        {**BAR, "encoding": {**SPAN, "y": field("kept_top:Q", axis=None), "y2": foot, **about}},
    ]
    if len(comparison.media.frames) <= MOST_COUNTS:
        count = {"x": field("middle:Q"), "y": enter, "text": field("enter:Q")}
        ink = {"color": {"value": INK}}
        layers.append({**mark("text", dy=-7, fontSize=10), "encoding": {**count, **ink}})
    colour = {"color": field("lane:N", **look)}
    return {**data(frame_bars(comparison)), "encoding": colour, "layer": layers}


def _segments(comparison: Comparison) -> Spec:
    return {
        **data(segment_bars(comparison)),
        **BAR,
        "encoding": {
            **SPAN,
            "y": field("top:Q", axis=None),
            "y2": {"field": "foot"},
            "color": {"value": INK},
            "opacity": field("shade:Q", scale=None),
            "tooltip": fields("lane:N", "segment:N"),
        },
    }


def _names(comparison: Comparison) -> Spec:
    text = {"fontSize": 12, "color": INK}
    name = {
        **mark("text", align="left", fontWeight="bold", limit=170, **text),
        "encoding": {"x": {"value": 0}, "text": field("lane:N")},
    }
    note = {
        **mark("text", align="right", limit=230, **text),
        "encoding": {"x": {"value": "width"}, "text": field("note:N")},
    }
    at = {"y": field("middle:Q", axis=None)}
    return {**data(clip_notes(comparison)), "encoding": at, "layer": [name, note]}


def frame_bars(comparison: Comparison) -> list[dict[str, Any]]:
    """One record per lane and frame. The frame with the most tokens has the highest bar."""
    edges = frame_edges(comparison.media.times)
    bars: list[dict[str, Any]] = []
    for row, (label, lane) in enumerate(finished_lanes(comparison)):
        for frame, following in pairwise(token_frames(lane.trace, len(edges) - 1)):
            time = float(comparison.media.times[frame])
            enter = fate_counts(at_layer(lane.trace, 0), frame)["kept"]
            bars.append(
                {
                    "lane": label,
                    "frame": f"frame {frame + 1} at {format_seconds(time)}",
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
    """One record per lane and segment; none for a method without segments."""
    edges, bars = frame_edges(comparison.media.times), []
    for row, (label, lane) in enumerate(finished_lanes(comparison)):
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
    """The text above each row."""
    notes = []
    for row, (label, lane) in enumerate(finished_lanes(comparison)):
        segments = lane.trace.segments
        count = 0 if segments is None else len(np.unique(segments))
        note = f"{count} segment{'s' * (count > 1)}" if count else "cuts no segments"
        notes.append({"lane": label, "note": note, "middle": row + NAME})
    return notes


def token_frames(trace: TokenTrace, num_frames: int) -> list[int]:
    """The frames that have tokens, then `num_frames`.

    Where a model encodes two frames as one, the tokens belong to the first of them.
    """
    own = np.unique(trace.layout.frame[trace.layout.placed])
    return [*own.tolist(), num_frames]


def frame_edges(times: np.ndarray) -> list[float]:
    """(T + 1) seconds: midway between two frames, and as far outside the first and the last."""
    if len(times) == 1:
        return [float(times[0]), float(times[0]) + 1.0]
    between = (times[1:] + times[:-1]) / 2
    first, last = 2 * times[0] - between[0], 2 * times[-1] - between[-1]
    edges: list[float] = np.concatenate([[max(0.0, first)], between, [last]]).tolist()
    return edges
