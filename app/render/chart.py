"""The style of all charts, and their export to files."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

# On the page, text has the colour of the page's text, in the light and the dark theme.
INK = "currentColor"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
PRINT_INK, PRINT_FONT, PAPER = "#333333", "DejaVu Sans", "#ffffff"
PRINT_WIDTH = 560


def chart_data(records: list[dict[str, Any]]) -> Any:
    return alt.Data(values=records)  # type: ignore[no-untyped-call]


def style_chart(chart: Any, conditions: str, height: int) -> Any:
    """As wide as its container and transparent; `conditions` are printed in files only."""
    embed = {"renderer": "svg", "actions": False}
    return (
        chart.properties(
            width="container",
            height=height,
            background="transparent",
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
            usermeta={"embedOptions": embed, "conditions": conditions},
        )
        .configure(font=FONT)
        .configure_axis(
            labelColor=INK,
            titleColor=INK,
            tickColor=INK,
            domainColor=INK,
            gridColor=INK,
            gridOpacity=0.15,
            labelFontSize=11,
            titleFontSize=11,
            titleFontWeight="normal",
        )
        .configure_legend(labelColor=INK, titleColor=INK, labelFontSize=11)
        .configure_view(stroke=None)
    )


def chart_png(chart: Any, path: Path, scale: float = 2.0) -> None:
    """Write the chart on white, for recordings and documents; needs no browser."""
    Path(path).write_bytes(vl_convert.vegalite_to_png(_print_spec(chart), scale=scale))


def chart_svg(chart: Any, path: Path) -> None:
    Path(path).write_text(vl_convert.vegalite_to_svg(_print_spec(chart)), encoding="utf-8")


def _print_spec(chart: Any) -> dict[str, Any]:
    """The chart with a fixed width, dark text, a white background and its conditions below."""
    text = chart.to_json().replace(f'"{INK}"', f'"{PRINT_INK}"')
    spec: dict[str, Any] = json.loads(text)
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
