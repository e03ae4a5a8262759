"""Chart of the time of each lane, phase by phase."""

from __future__ import annotations

from typing import Any

import altair as alt

from app.render.chart import INK, chart_data, style_chart
from app.render.palette import PHASE_COLOURS
from app.render.summary import conditions_line, lane_rows
from app.render.text import format_milliseconds, shorten
from models.engine.record import PHASES, Comparison

ROW = 54  # pixels per lane
BESIDE_NOTE = alt.ExprRef("max(130, width - 205)")  # pixels for a lane's name


def latency_chart(comparison: Comparison) -> Any:
    """Stacked bars, a tick at the first token, and the speed-up over vanilla as text."""
    rows = lane_rows(comparison)
    order = [row["label"] for row in rows]
    lane = alt.Y("lane:N", sort=order, axis=None, scale=alt.Scale(domain=order, padding=0))
    phases = list(PHASES)
    bars = (
        alt.Chart(chart_data(latency_bars(rows)))
        .mark_bar(height=16, yOffset=9, stroke=INK, strokeOpacity=0.45, strokeWidth=0.6)
        .encode(
            x=alt.X(
                "start:Q",
                title="ms on the lane's own clock, tick at the first token",
                axis=alt.Axis(tickCount=5),
            ),
            x2="end:Q",
            y=lane,
            color=alt.Color(
                "phase:N",
                scale=alt.Scale(domain=phases, range=[PHASE_COLOURS[name] for name in phases]),
                legend=alt.Legend(title=None, orient="top", direction="horizontal", offset=4),
            ),
            tooltip=["lane:N", "phase:N", alt.Tooltip("time:N"), alt.Tooltip("share:N")],
        )
    )
    marks = alt.Chart(chart_data(latency_notes(rows))).encode(y=lane)
    tick = (
        marks.transform_filter("isValid(datum.ttft)")
        .mark_tick(thickness=2.5, opacity=1, size=26, yOffset=9, color=INK, orient="vertical")
        .encode(x="ttft:Q", tooltip=["lane:N", alt.Tooltip("first:N", title="first token (TTFT)")])
    )
    name = marks.mark_text(
        align="left", dy=-12, fontSize=12, fontWeight="bold", color=INK, limit=BESIDE_NOTE
    ).encode(x=alt.value(0), text="lane:N")
    note = marks.mark_text(align="right", dy=-12, fontSize=12, color=INK, limit=230).encode(
        x=alt.value("width"), text="note:N", tooltip=["lane:N", alt.Tooltip("why:N", title="note")]
    )
    chart = alt.layer(bars, tick, name, note)
    return style_chart(chart, conditions_line(comparison), ROW * len(order))


def latency_bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record per lane and phase, with its start and end in ms."""
    bars = []
    for row in rows:
        start = 0.0
        for phase, value in row.get("phase_ms", {}).items():
            end = start + value
            bars.append(
                {
                    "lane": row["label"],
                    "phase": phase,
                    "start": start,
                    "end": end,
                    "time": format_milliseconds(value / 1e3),
                    "share": f"{100 * value / max(row['total_ms'], 1e-9):.0f} % of the lane",
                }
            )
            start = end
    return [bar for bar in bars if bar["end"] > bar["start"]]


def latency_notes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The text above each bar."""
    notes = []
    for row in rows:
        if row["failure"] is not None:
            why, note, ttft, first = row["failure"], "did not run", None, ""
        else:
            ttft, first = row["ttft_ms"], format_milliseconds(row["ttft_ms"] / 1e3)
            note = f"{first} to first token"
            if row["text"]["speedup_ttft"]:
                note += f" · {row['text']['speedup_ttft']}"
            elif row["cold"]:
                note += " · cold run"
            why = f"{note}, {row['text']['total_ms']} in all"
        why = shorten(why, 160)
        notes.append({"lane": row["label"], "note": note, "ttft": ttft, "first": first, "why": why})
    return notes
