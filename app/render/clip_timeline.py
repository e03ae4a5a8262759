"""A clip on its own clock: what each frame kept, and the segments that each method cut it into."""

from __future__ import annotations

from typing import Any

import altair as alt

from app.render.chart import INK, dressed, inline
from app.render.clip_rows import clip_notes, frame_bars, ran, segment_bars
from app.render.palette import lane_colours
from app.render.summary import conditions_line, lane_labels
from models.engine.record import Comparison

ROW = 92  # pixels a lane
MOST_COUNTS = 16  # frames, so that a count fits over each bar
AXIS = ["seconds into the clip", "bar: tokens that enter the LLM · filled: kept to the end"]


def clip_timeline_chart(comparison: Comparison) -> Any:
    """A row a lane, a bar a frame: the tokens that enter the LLM, filled those kept to the end.

    Below lie the method's segments, dark and light in turn. A frame lasts from midway to the one
    before until midway to the next.
    """
    rows = len(ran(comparison))
    axis = alt.Axis(tickCount=6, grid=False)
    time = alt.X("start:Q", title=AXIS, axis=axis, scale=alt.Scale(nice=False, zero=False))
    bars = {"x": time, "x2": alt.X2("end:Q")}
    layers = [*_frames(comparison, bars, rows), _segments(comparison, bars), *_names(comparison)]
    return dressed(alt.layer(*layers), conditions_line(comparison), ROW * max(1, rows))


def _frames(comparison: Comparison, bars: dict[str, Any], rows: int) -> list[Any]:
    methods = [lane.method for lane in comparison.lanes]
    scale = alt.Scale(domain=lane_labels(comparison), range=lane_colours(methods))
    frames = alt.Chart(inline(frame_bars(comparison))).encode(
        color=alt.Color("lane:N", legend=None, scale=scale),
        tooltip=[
            "lane:N",
            "frame:N",
            alt.Tooltip("enter:Q", title="tokens into the LLM"),
            alt.Tooltip("kept:Q", title="kept to the end"),
        ],
    )
    bar = frames.mark_bar(xOffset=1, x2Offset=-1)
    height = alt.Scale(domain=[0, max(1, rows)], reverse=True, nice=False)
    outline = alt.Stroke("lane:N", legend=None, scale=scale)
    enter = alt.Y("enter_top:Q", axis=None, scale=height)
    layers = [
        bar.encode(y=enter, y2="foot:Q", stroke=outline, fillOpacity=alt.value(0.3), **bars),
        bar.encode(y="kept_top:Q", y2="foot:Q", **bars),
    ]
    if len(comparison.media.frames) <= MOST_COUNTS:
        count = frames.mark_text(dy=-7, fontSize=10)
        layers.append(
            count.encode(x="middle:Q", y="enter_top:Q", text="enter:Q", color=alt.value(INK))
        )
    return layers


def _segments(comparison: Comparison, bars: dict[str, Any]) -> Any:
    segments = alt.Chart(inline(segment_bars(comparison))).mark_bar(xOffset=1, x2Offset=-1)
    return segments.encode(
        y="top:Q",
        y2="foot:Q",
        color=alt.value(INK),
        opacity=alt.Opacity("shade:Q", scale=None),
        tooltip=["lane:N", "segment:N"],
        **bars,
    )


def _names(comparison: Comparison) -> list[Any]:
    notes = alt.Chart(inline(clip_notes(comparison))).encode(y="middle:Q")
    name = notes.mark_text(align="left", fontSize=12, fontWeight="bold", color=INK, limit=170)
    note = notes.mark_text(align="right", fontSize=12, color=INK, limit=230)
    return [
        name.encode(x=alt.value(0), text="lane:N"),
        note.encode(x=alt.value("width"), text="note:N"),
    ]
