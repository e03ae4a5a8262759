"""What all charts share: the look, and the way to a file."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

# Live, text takes the page's own colour, so it is as readable as the page in light and in dark.
INK = "currentColor"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
PRINT_INK, PRINT_FONT, PAPER = "#333333", "DejaVu Sans", "#ffffff"
PRINT_WIDTH = 560


def inline(records: list[dict[str, Any]]) -> Any:
    """Records as a chart's data, without a data frame in between."""
    return alt.Data(values=records)  # type: ignore[no-untyped-call]


def dressed(chart: Any, conditions: str, height: int) -> Any:
    """As wide as its place, and transparent. The page shows the conditions, a file carries them."""
    dress = chart.properties(
        width="container",
        height=height,
        background="transparent",
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        usermeta={
            "embedOptions": {"renderer": "svg", "actions": False},
            "conditions": conditions,
        },
    )
    return (
        dress.configure(font=FONT)
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
    """On white paper, for records and documents; needs no browser."""
    Path(path).write_bytes(vl_convert.vegalite_to_png(_printed(chart), scale=scale))


def chart_svg(chart: Any, path: Path) -> None:
    Path(path).write_text(vl_convert.vegalite_to_svg(_printed(chart)), encoding="utf-8")


def _printed(chart: Any) -> dict[str, Any]:
    """The same chart with a fixed width, dark ink and a white background."""
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
