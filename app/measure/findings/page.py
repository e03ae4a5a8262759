"""Writes `docs/findings.md`: the template with tables of the report."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Any

from app.measure.findings.inside_page import blocking_text, curves_text
from app.measure.findings.lanes import STRATEGIES
from app.measure.findings.report import PAIRS
from app.measure.findings.tables_page import NOT_MEASURED, tables_text
from app.measure.report import describe_conditions
from app.render.table import markdown_table
from app.significance import DRAWS, LEVEL

TEMPLATE = Path(__file__).with_name("template.md")
CHARTS = {"drops": "questions|grounding", "positions": "positions", "clips": "clips|moving"}
CLIP_RATES = {
    "questions": "questions (p)",
    "boxes": "boxes at the end (p)",
    "moving": "about moving objects (p)",
    "still": "about still objects (p)",
}


def markdown(report: dict[str, Any]) -> str:
    """The template with the report's tables in it."""
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        scope=_scope(report),
        nuwa=_claims(report["claims"], "Nüwa"),
        flashvid=_claims(report["claims"], "FlashVID"),
        tables=tables_text(report.get("tables", ())),
        ours=_claims(report["claims"], "ours"),
        drops=_drops(report["drops"]) if report["drops"] else NOT_MEASURED,
        positions=_positions(report["positions"]) if report["positions"] else NOT_MEASURED,
        clips=_clips(report["clips"]) if report["clips"] else NOT_MEASURED,
        blocking=blocking_text(report.get("inside", {})),
        curves=curves_text(report.get("inside", {})),
        level=LEVEL,
        draws=f"{DRAWS:,}",
    )
    for part, names in CHARTS.items():
        if not report[part]:
            text = re.sub(rf"!\[.*\]\(findings-(?:{names})\.svg\)\n+", "", text)
    return text


def _scope(report: dict[str, Any]) -> str:
    return "".join(
        f"- **{name}**: {report['seeds']} seeds of {model['uploads']} uploads, "
        f"{model['boxes']} boxes and {model['questions']} other questions, "
        f"{model['lanes']} lanes ({describe_conditions(model)}).\n"
        for name, model in report["models"].items()
    )


def _claims(rows: list[dict], family: str) -> str:
    lines = []
    rows = [row for row in rows if row["family"] == family]
    if not rows:
        return NOT_MEASURED
    for row in rows:
        claim = (row["claim"], *([row["figures"]] if row["figures"] else []))
        if row["refused"]:
            lines.append((*claim, f"refused: {row['refused']}"))
            continue
        rates = f"{_rate(row['first'])} against {_rate(row['second'])} of {_rate(row['vanilla'])}"
        lines.append((*claim, rates, _p(row["p_holm"]), f"**{row['verdict']}**"))
    head = ("our claim",) if family == "ours" else ("claim of the paper", "its figures")
    return markdown_table((*head, "shares right, and vanilla's", "p", "verdict"), lines)


def _drops(rows: list[dict]) -> str:
    head = (
        "method",
        "run",
        "questions",
        "boxes",
        "loss, questions",
        "loss, boxes",
        "loss on boxes minus questions, points (95 %)",
        "larger loss",
    )
    return markdown_table(head, map(_drop, rows))


def _drop(row: dict) -> tuple[str, ...]:
    if row["refused"]:
        return row["title"], _percent(row["retention_ratio"]), f"refused: {row['refused']}"
    cells = (row["title"], _percent(row["measured_ratio"]), *_rates(row, "questions", "grounding"))
    if "lost" not in row:
        return cells
    lost = row["lost"]
    points = f"{100 * lost['low']:+.0f} to {100 * lost['high']:+.0f}"
    losses = _percent(lost["questions"]), _percent(lost["grounding"])
    return (*cells, *losses, points, row["falls"])


def _positions(rows: list[dict]) -> str:
    head = (
        "selection",
        "asked",
        *(f"boxes, {name.upper()}" for name in STRATEGIES),
        *(f"p, {first.upper()} against {second.upper()}" for first, second in PAIRS),
        *(f"questions, {name.upper()}" for name in STRATEGIES),
    )
    return markdown_table(head, map(_position, rows))


def _position(row: dict) -> tuple[str, ...]:
    asked = _percent(row["retention_ratio"])
    if row["refused"]:
        return row["title"], asked, f"refused: {row['refused']}"
    return (
        f"{row['title']} (published: {row['published'].upper()})",
        asked,
        *(_rate(row[name]["grounding"]) for name in STRATEGIES),
        *(_p(test["p_holm"]) for test in row["tests"].values()),
        *(_rate(row[name]["questions"]) for name in STRATEGIES),
    )


def _clips(rows: list[dict]) -> str:
    return markdown_table(("method", "run", *CLIP_RATES.values()), map(_clip, rows))


def _clip(row: dict) -> tuple[str, ...]:
    name = row["title"] + ("" if row["positions"] == "published" else ", PESP")
    if row["refused"]:
        return name, _percent(row["retention_ratio"]), f"refused: {row['refused']}"
    tests = [f" ({_p(test['p_holm'])})" for test in row.get("flashvid", {}).values()]
    rates = zip(_rates(row, *CLIP_RATES), tests or [""] * len(CLIP_RATES), strict=True)
    return name, _percent(row["measured_ratio"]), *map("".join, rates)


def _rates(row: dict, *names: str) -> list[str]:
    return [_rate(row[name]) for name in names]


def _rate(rate: dict[str, float]) -> str:
    return f"{rate['mean']:.3f} ± {rate['spread']:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
