"""Chart of the time of each lane, phase by phase."""

from __future__ import annotations

from typing import Any

from app.render.chart import INK, Spec, data, field, fields, mark, style_chart
from app.render.palette import PHASE_COLOURS
from app.render.summary import conditions_line, lane_rows
from app.render.text import format_milliseconds, shorten
from models.engine.record import PHASES, Comparison

ROW = 54  # pixels per lane
BESIDE_NOTE = {"expr": "max(110, width - 175)"}  # pixels for a lane's name
CLOCK = "ms on the lane's own clock, tick at the first token"
REPEATED = "ms, typical of {} runs; tick: first token, grey: half of the runs"
TEXT = {"fontSize": 12, "color": INK}


def latency_chart(comparison: Comparison) -> Spec:
    """Stacked bars, a tick at the first token, and the speed-up over vanilla as text."""
    rows = lane_rows(comparison)
    order = [row["label"] for row in rows]
    scale = {"domain": order, "padding": 0}
    lane = field("lane:N", sort=order, axis=None, scale=scale)
    tick = {
        "transform": [{"filter": "isValid(datum.ttft)"}],
        **mark("tick", thickness=2.5, opacity=1, size=26, yOffset=9, color=INK, orient="vertical"),
        "encoding": {
            "y": lane,
            "x": field("ttft:Q"),
            "tooltip": fields("lane:N", first="first token (TTFT)"),
        },
    }
    name = {
        **mark("text", align="left", dy=-12, fontWeight="bold", limit=BESIDE_NOTE, **TEXT),
        "encoding": {"y": lane, "x": {"value": 0}, "text": field("lane:N")},
    }
    note = {
        **mark("text", align="right", dy=-12, limit=260, **TEXT),
        "encoding": {
            "y": lane,
            "x": {"value": "width"},
            "text": field("note:N"),
            "tooltip": fields("lane:N", why="note"),
        },
    }
    half = {
        "transform": [{"filter": "isValid(datum.low)"}],
        **mark("rule", strokeWidth=5, opacity=0.55, yOffset=9, color=INK),
        "encoding": {"y": lane, "x": field("low:Q"), "x2": {"field": "high"}},
    }
    marks = {**data(latency_notes(rows)), "layer": [half, tick, name, note]}
    chart = {"layer": [_bars(rows, lane), marks]}
    return style_chart(chart, conditions_line(comparison), ROW * len(order))


def _bars(rows: list[dict[str, Any]], lane: Spec) -> Spec:
    runs = max((row.get("runs", 1) for row in rows), default=1)
    colours = [PHASE_COLOURS[name] for name in PHASES]
    return {
        **data(latency_bars(rows)),
        **mark("bar", height=16, yOffset=9, stroke=INK, strokeOpacity=0.45, strokeWidth=0.6),
        "encoding": {
            "y": lane,
            "x": field(
                "start:Q",
                title=CLOCK if runs == 1 else REPEATED.format(runs),
                axis={"tickCount": 5},
            ),
            "x2": {"field": "end"},
            "color": field(
                "phase:N",
                scale={"domain": PHASES, "range": colours},
                legend={"title": None, "orient": "top", "direction": "horizontal", "offset": 4},
            ),
            "tooltip": fields("lane:N", "phase:N", "time:N", "share:N"),
        },
    }


def latency_bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record per lane and phase, with its start and end in ms."""
    bars = []
    for row in rows:
        start = 0.0
        for phase, value in row.get("phase_ms", {}).items():
            if phase == "compress" and row["method"] == "vanilla":
                continue  # the call that compresses nothing
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
            note = f"{first} to first token" if row["method"] == "vanilla" else first
            if row["text"]["speedup_ttft"]:
                note += f" · {row['text']['speedup_ttft']}"
            elif row["cold"]:
                note += " · cold run"
            why = f"{note}, {row['text']['total_ms']} in all"
            if row["text"]["compress_ms"]:
                why += f", {row['text']['compress_ms']} of it compression"
        why = shorten(why, 160)
        low, high = row.get("ttft_quartiles_ms") or (None, None)
        times = {"ttft": ttft, "low": low, "high": high, "first": first}
        notes.append({"lane": row["label"], "note": note, "why": why, **times})
    return notes
