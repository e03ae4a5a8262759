"""Chart of the visual tokens in each LLM layer: one descending line per lane."""

from __future__ import annotations

from typing import Any

import altair as alt

from app.render.chart import INK, chart_data, style_chart
from app.render.palette import lane_colours
from app.render.summary import conditions_line, finished_lanes, lane_labels
from app.render.text import format_percent, shorten_middle
from models.engine.record import Comparison

HEIGHT = 240
DASHES: list[list[int]] = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [1, 3]]
SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down"]
LINE = 15  # pixels between two labels
NAME = 15  # characters of a lane's label


def staircase_chart(comparison: Comparison) -> Any:
    """Lines differ in colour, dash and marker, with labels at their ends."""
    steps = staircase_points(comparison)
    ends = [step for step in steps if step["end"]]
    lanes = [end["lane"] for end in ends]
    colours = lane_colours([lane.method for lane in comparison.lanes])
    every = dict(zip(lane_labels(comparison), colours, strict=True))
    x, y = _axes(steps)

    def by_lane(channel: Any, looks: list[Any]) -> Any:
        return channel("lane:N", legend=None, scale=alt.Scale(domain=lanes, range=looks))

    colour = by_lane(alt.Color, [every[name] for name in lanes])
    shape = by_lane(alt.Shape, SHAPES)
    points = alt.Chart(chart_data(steps))
    line = points.mark_line(interpolate="step-after", strokeWidth=2.25).encode(
        x=x, y=y, color=colour, strokeDash=by_lane(alt.StrokeDash, DASHES)
    )
    about = ["lane:N", alt.Tooltip("from:N", title="from"), "tokens:Q", "share:N"]
    mark = points.transform_filter("datum.changed").mark_point(filled=True, size=64, opacity=1)
    layers = [line, mark.encode(x=x, y=y, color=colour, shape=shape, tooltip=about)]
    for end, place in zip(ends, _apart(ends, _highest(steps)), strict=True):
        at = alt.Chart(chart_data([end])).encode(x=alt.value("width"), y=alt.value(place))
        key = at.mark_point(filled=True, size=64, opacity=1, xOffset=10)
        text = at.mark_text(align="left", dx=19, fontSize=12, color=INK, limit=136)
        layers += [key.encode(color=colour, shape=shape), text.encode(text="label:N")]
    return style_chart(alt.layer(*layers), conditions_line(comparison), HEIGHT)


def staircase_points(comparison: Comparison) -> list[dict[str, Any]]:
    """One record per lane and layer, and one more that draws the last layer as a step."""
    points: list[dict[str, Any]] = []
    for label, lane in finished_lanes(comparison):
        counts, total = lane.trace.per_layer.tolist(), max(1, lane.trace.layout.num_placed)
        for layer, tokens in enumerate([*counts, counts[-1]]):
            changed = layer == 0 or (layer < len(counts) and tokens != counts[layer - 1])
            points.append(
                {
                    "lane": label,
                    "layer": layer,
                    "tokens": tokens,
                    "share": f"{format_percent(tokens / total)} of all",
                    "from": f"layer {layer}",
                    "changed": changed,
                    "end": layer == len(counts),
                    "label": f"{tokens:,} {shorten_middle(label, NAME)}",
                }
            )
    return points


def _axes(steps: list[dict[str, Any]]) -> tuple[Any, Any]:
    layers = max((step["layer"] for step in steps), default=1)
    x = alt.X(
        "layer:Q",
        title="LLM layer",
        axis=alt.Axis(tickMinStep=1, tickCount=8, format="d", grid=False),
        scale=alt.Scale(domain=[0, layers], nice=False),
    )
    y = alt.Y(
        "tokens:Q",
        title="visual tokens",
        axis=alt.Axis(tickCount=5, format=",d", tickMinStep=1),
        scale=alt.Scale(domain=[0, _highest(steps)], nice=False),
    )
    return x, y


def _highest(steps: list[dict[str, Any]]) -> int:
    return max((step["tokens"] for step in steps), default=1)


def _apart(ends: list[dict[str, Any]], highest: int) -> list[float]:
    """Heights of the end labels in pixels, in the order of the lines and without overlap."""
    wanted = [HEIGHT * (1 - end["tokens"] / max(1, highest)) for end in ends]
    order = sorted(range(len(ends)), key=lambda index: wanted[index])
    places = list(wanted)
    floor = -LINE / 2
    for index in order:
        places[index] = floor = max(wanted[index], floor)
        floor += LINE
    ceiling = float(HEIGHT)
    for index in reversed(order):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - LINE
    return places
