"""Chart of the visual tokens in each LLM layer: one descending line per lane.

If decode reads fewer tokens than prefill in any lane, the lines go on over the layers of decode.
"""

from __future__ import annotations

from typing import Any

from app.render.chart import INK, Spec, data, field, mark, style_chart
from app.render.palette import lane_colours
from app.render.summary import conditions_line, finished_lanes, lane_labels
from app.render.text import format_percent, shorten_middle
from models.engine.record import Comparison

HEIGHT = 240
DASHES: list[list[int]] = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [1, 3]]
SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down"]
POINT = mark("point", filled=True, size=64, opacity=1)
LINE = 15  # pixels between two labels
NAME = 15  # characters of a lane's label


def staircase_chart(comparison: Comparison) -> Spec:
    """Lines differ in colour, dash and marker, with labels at their ends."""
    steps = staircase_points(comparison)
    ends = [step for step in steps if step["end"]]
    lanes = [end["lane"] for end in ends]
    colours = lane_colours([lane.method for lane in comparison.lanes])
    every = dict(zip(lane_labels(comparison), colours, strict=True))

    def by_lane(looks: list[Any]) -> Spec:
        return field("lane:N", legend=None, scale={"domain": lanes, "range": looks})

    place = _axes(steps)
    looks = {"color": by_lane([every[name] for name in lanes]), "shape": by_lane(SHAPES)}
    line = {
        **mark("line", interpolate="step-after", strokeWidth=2.25),
        "encoding": {**place, "color": looks["color"], "strokeDash": by_lane(DASHES)},
    }
    about = [field("lane:N"), field("from:N", title="from"), field("tokens:Q"), field("share:N")]
    change = {
        "transform": [{"filter": "datum.changed"}],
        **POINT,
        "encoding": {**place, **looks, "tooltip": about},
    }
    heights = _apart(ends, _highest(steps))
    labels = [_label(end, height, looks) for end, height in zip(ends, heights, strict=True)]
    chart = {**data(steps), "layer": [line, change, *labels]}
    return style_chart(chart, conditions_line(comparison), HEIGHT)


def _label(end: Spec, height: float, looks: Spec) -> Spec:
    """The marker and the text at the end of a line."""
    key = {"mark": POINT["mark"] | {"xOffset": 10}, "encoding": looks}
    text = {
        **mark("text", align="left", dx=19, fontSize=12, color=INK, limit=136),
        "encoding": {"text": field("label:N")},
    }
    at = {"x": {"value": "width"}, "y": {"value": height}}
    return {**data([end]), "encoding": at, "layer": [key, text]}


def staircase_points(comparison: Comparison) -> list[dict[str, Any]]:
    """One record per lane and layer, and one more that draws the last layer as a step."""
    points: list[dict[str, Any]] = []
    lanes = finished_lanes(comparison)
    goes_on = any(lane.reads is not None for _, lane in lanes)
    for label, lane in lanes:
        prefill, total = lane.trace.per_layer.tolist(), max(1, lane.trace.layout.num_placed)
        counts = [*prefill, *(lane.reads or prefill)] if goes_on else prefill
        for layer, tokens in enumerate([*counts, counts[-1]]):
            changed = layer == 0 or (layer < len(counts) and tokens != counts[layer - 1])
            points.append(
                {
                    "lane": label,
                    "layer": layer,
                    "tokens": tokens,
                    "share": f"{format_percent(tokens / total)} of all",
                    "from": _name(layer, len(prefill)),
                    "decode": len(prefill) if goes_on else None,
                    "changed": changed,
                    "end": layer == len(counts),
                    "label": f"{tokens:,.0f} {shorten_middle(label, NAME)}",
                }
            )
    return points


def _name(layer: int, num_layers: int) -> str:
    """Of a layer of prefill, or behind those of decode."""
    return f"layer {layer}" if layer < num_layers else f"layer {layer - num_layers} in decode"


def _axes(steps: list[dict[str, Any]]) -> Spec:
    layers = max((step["layer"] for step in steps), default=1)
    axis: Spec = {"tickMinStep": 1, "tickCount": 8, "format": "d", "grid": False}
    title = "LLM layer"
    if steps and (first := steps[0]["decode"]):
        title = "LLM layer: prefill, then decode"
        axis["labelExpr"] = f"datum.value < {first} ? datum.value : datum.value - {first}"
    return {
        "x": field(
            "layer:Q",
            title=title,
            axis=axis,
            scale={"domain": [0, layers], "nice": False},
        ),
        "y": field(
            "tokens:Q",
            title="visual tokens",
            axis={"tickCount": 5, "format": ",d", "tickMinStep": 1},
            scale={"domain": [0, _highest(steps)], "nice": False},
        ),
    }


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
