"""The style of all charts, and their export to files.

A chart is a Vega-Lite specification as a plain dict: the page makes some in every comparison, and
the objects of a plotting library take longer to build than the model takes to answer.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # what Gradio draws
# On the page, text has the colour of the page's text, in the light and the dark theme.
INK = "currentColor"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
PRINT_INK, PRINT_FONT, PAPER = "#333333", "DejaVu Sans", "#ffffff"
PRINT_WIDTH = 560
TYPES = {"N": "nominal", "Q": "quantitative"}
STYLE: Spec = {
    "font": FONT,
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": INK,
        "domainColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.15,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 11},
    "view": {"stroke": None},
}


def field(shorthand: str, **options: Any) -> Spec:
    """A channel that shows a field, such as `field("tokens:Q", title="visual tokens")`."""
    name, kind = shorthand.rsplit(":", 1)
    return {"field": name, "type": TYPES[kind], **options}


def fields(*shorthands: str, **titles: str) -> list[Spec]:
    """The lines of a tooltip; a title replaces the name of its field, which is nominal."""
    named = [field(f"{name}:N", title=title) for name, title in titles.items()]
    return [field(shorthand) for shorthand in shorthands] + named


def mark(kind: str, **options: Any) -> Spec:
    return {"mark": {"type": kind, **options}}


def data(records: list[Spec]) -> Spec:
    return {"data": {"values": records}}


def style_chart(chart: Spec, conditions: str, height: int) -> Spec:
    """As wide as its container and transparent; `conditions` are printed in files only."""
    return {
        "$schema": SCHEMA,
        **chart,
        "width": "container",
        "height": height,
        "background": "transparent",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "usermeta": {
            "embedOptions": {"renderer": "svg", "actions": False},
            "conditions": conditions,
        },
        "config": STYLE,
    }


def chart_png(chart: Spec, path: Path, scale: float = 2.0) -> None:
    """Write the chart on white, for recordings and documents; needs no browser."""
    import vl_convert

    Path(path).write_bytes(vl_convert.vegalite_to_png(_print_spec(chart), scale=scale))


def chart_svg(chart: Spec, path: Path) -> None:
    import vl_convert

    Path(path).write_text(vl_convert.vegalite_to_svg(_print_spec(chart)), encoding="utf-8")


def _print_spec(chart: Spec) -> Spec:
    """The chart with a fixed width, dark text, a white background and its conditions below."""
    spec: Spec = json.loads(json.dumps(chart).replace(f'"{INK}"', f'"{PRINT_INK}"'))
    spec["config"]["font"] = PRINT_FONT
    conditions = spec.pop("usermeta")["conditions"]
    unbroken = " · ".join(part.replace(" ", "\u00a0") for part in conditions.split(" · "))
    spec |= {
        "width": PRINT_WIDTH,
        "background": PAPER,
        "title": {
            "text": textwrap.wrap(unbroken, 96),
            "orient": "bottom",
            "anchor": "start",
            "color": PRINT_INK,
            "fontSize": 10,
            "fontWeight": "normal",
            "offset": 10,
        },
    }
    return spec
