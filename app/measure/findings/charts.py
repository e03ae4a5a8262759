"""The charts of the findings, drawn from the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt

from app.measure.findings.lanes import STRATEGIES
from app.render.chart import INK, chart_svg, style_chart
from app.render.palette import LANE_COLOURS, VANILLA_COLOUR

HEIGHT = 260
CHARTS = {"questions", "grounding", "positions", "clips", "moving"}


def draw(report: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Writes `findings-*.svg` of what is measured, each with the conditions of its measurement."""
    tables = ("drops", "positions", "clips")
    pictures, numberings, clips = (
        [row for row in report[table] if not row["refused"]] for table in tables
    )
    published = [row for row in clips if row["positions"] == "published"]
    pesp = [row for row in clips if row["positions"] == "pesp" or row["retention_ratio"] == 1]
    charts = {}
    if pictures:
        charts["questions"] = curves(pictures, "questions", "questions right")
        charts["grounding"] = curves(pictures, "grounding", "boxes right (IoU ≥ 0.5)")
        charts["positions"] = strategies(numberings)
    if clips:
        charts["clips"] = curves(published, "questions", "questions about clips right")
        charts["moving"] = moving(pesp)
    for name in CHARTS - charts.keys():
        (folder / f"findings-{name}.svg").unlink(missing_ok=True)
    for name, chart in charts.items():
        model = "embedded-video" if name in ("clips", "moving") else "embedded-image"
        about = (
            f"{model} · {report['models'][model]['uploads']} uploads × {report['seeds']} seeds · "
            "mean ± standard deviation over seeds"
        )
        path = folder / f"findings-{name}.svg"
        chart_svg(style_chart(chart.to_dict(), about, HEIGHT), path)
        yield path


def curves(rows: list[dict], rate: str, title: str) -> Any:
    """Share right by ratio, a line a method; vanilla and the floor as level lines."""
    points = [
        {"method": row["title"], "ratio": 100 * row["retention_ratio"], **_ends(row[rate])}
        for row in rows
        if 0.05 < row["retention_ratio"] < 1
    ]
    methods = list(dict.fromkeys(point["method"] for point in points))
    across = alt.X(
        "ratio:Q",
        title="retention ratio, %",
        scale=alt.Scale(reverse=True, zero=False, padding=12),
        axis=alt.Axis(values=sorted({point["ratio"] for point in points}), format=".1~f"),
    )
    colour = _coloured("method", methods)
    base = alt.Chart(alt.Data(values=points)).encode(x=across, color=colour)
    line = base.mark_line(point=alt.OverlayMarkDef(size=45, filled=True)).encode(
        y=alt.Y("mean:Q", title=f"share of {title}", scale=alt.Scale(domain=[0, 1]))
    )
    spread = base.mark_rule(opacity=0.6).encode(y="low:Q", y2="high:Q")
    levels = [
        {"level": row[rate]["mean"], "what": row["title"]}
        for row in rows
        if row["retention_ratio"] == 1 or row["retention_ratio"] < 0.05
    ]
    level = alt.Chart(alt.Data(values=levels)).mark_rule(strokeDash=[5, 4], color=VANILLA_COLOUR)
    label = alt.Chart(alt.Data(values=levels)).mark_text(
        align="left", dy=-6, fontSize=11, color=INK
    )
    return alt.layer(
        level.encode(y="level:Q"),
        label.encode(x=alt.value(4), y="level:Q", text="what:N"),
        spread,
        line,
    )


def strategies(rows: list[dict]) -> Any:
    """Boxes right under each numbering, at the middle ratio."""
    ratios = sorted({row["retention_ratio"] for row in rows})
    ratio = ratios[len(ratios) // 2]
    bars = [
        {"method": row["title"], "positions": name.upper(), **_ends(row[name]["grounding"])}
        for row in rows
        if row["retention_ratio"] == ratio
        for name in STRATEGIES
    ]
    title = f"share of boxes right at {100 * ratio:g} %"
    return _grouped(bars, "positions", [name.upper() for name in STRATEGIES], title)


def moving(rows: list[dict]) -> Any:
    """Share right on moving and on still objects, at the smallest ratio."""
    least = min(row["retention_ratio"] for row in rows if row["retention_ratio"] > 0.05)
    bars = [
        {"method": row["title"], "object": name, **_ends(row[name])}
        for row in rows
        if row["retention_ratio"] in (least, 1)
        for name in ("moving", "still")
    ]
    title = f"share of answers right at {100 * least:g} %, all with PESP"
    return _grouped(bars, "object", ["moving", "still"], title)


def _grouped(bars: list[dict], by: str, order: list[str], title: str) -> Any:
    methods = list(dict.fromkeys(bar["method"] for bar in bars))
    base = alt.Chart(alt.Data(values=bars)).encode(
        x=alt.X("method:N", sort=methods, title=None, axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset(f"{by}:N", sort=order),
    )
    bar = base.mark_bar().encode(
        y=alt.Y("mean:Q", title=title, scale=alt.Scale(domain=[0, 1])),
        color=_coloured(by, order),
    )
    return alt.layer(bar, base.mark_rule(color=INK).encode(y="low:Q", y2="high:Q"))


def _coloured(field: str, names: list[str]) -> alt.Color:
    scale = alt.Scale(domain=names, range=list(LANE_COLOURS[: len(names)]))
    return alt.Color(f"{field}:N", scale=scale, legend=alt.Legend(title=None, orient="top"))


def _ends(rate: dict[str, float]) -> dict[str, float]:
    low, high = rate["mean"] - rate["spread"], rate["mean"] + rate["spread"]
    return {"mean": rate["mean"], "low": max(0.0, low), "high": min(1.0, high)}
