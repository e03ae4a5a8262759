"""`docs/findings.md`, written from the report: every figure in it is one of the JSON's."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

from app.measure.findings.paired import DRAWS, LEVEL
from app.measure.findings.report import PAIRS
from app.measure.findings.study import STRATEGIES
from app.render.table import markdown_table

TEMPLATE = Path(__file__).with_name("template.md")
CLIP_RATES = {
    "questions": "questions (p)",
    "boxes": "boxes at the end (p)",
    "moving": "about what moves (p)",
    "still": "about what stands still (p)",
}


def markdown(report: dict[str, Any]) -> str:
    """The template with the report's tables in it."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        scope=_scope(report),
        nuwa=_claims(report["claims"], "Nüwa"),
        flashvid=_claims(report["claims"], "FlashVID"),
        ours=_claims(report["claims"], "ours"),
        drops=_drops(report["drops"]),
        positions=_positions(report["positions"]),
        clips=_clips(report["clips"]),
        level=LEVEL,
        draws=f"{DRAWS:,}",
    )


def _scope(report: dict[str, Any]) -> str:
    lines = []
    for name, told in report["models"].items():
        where = ", ".join(f"{key} {value}" for key, value in told["conditions"].items())
        lines.append(
            f"- **{name}**: {report['seeds']} seeds of {told['uploads']} uploads, "
            f"{told['boxes']} boxes and {told['questions']} other questions, "
            f"{told['lanes']} lanes ({where}).\n"
        )
    return "".join(lines)


def _claims(rows: list[dict], family: str) -> str:
    lines = []
    for row in (row for row in rows if row["family"] == family):
        said = (row["claim"], *([row["figures"]] if row["figures"] else []))
        if "refused" in row:
            lines.append((*said, f"refused: {row['refused']}"))
            continue
        rates = f"{_rate(row['first'])} against {_rate(row['second'])} of {_rate(row['vanilla'])}"
        lines.append((*said, rates, _p(row["p_holm"]), f"**{row['verdict']}**"))
    said = ("we ask",) if family == "ours" else ("the paper says", "its figures")
    return markdown_table((*said, "here, of what vanilla gets right", "p", "verdict"), lines)


def _drops(rows: list[dict]) -> str:
    lines = []
    for row in rows:
        if "refused" in row:
            lines.append((row["title"], _percent(row["ratio"]), f"refused: {row['refused']}"))
            continue
        lost = row.get("lost")
        lines.append(
            (
                row["title"],
                _percent(row["ran"]),
                _rate(row["questions"]),
                _rate(row["grounding"]),
                *(
                    (
                        _percent(lost["questions"]),
                        _percent(lost["grounding"]),
                        f"{100 * lost['low']:+.0f} to {100 * lost['high']:+.0f}",
                        row["falls"],
                    )
                    if lost
                    else ()
                ),
            )
        )
    head = (
        "method",
        "run",
        "questions",
        "boxes",
        "seeing lost, questions",
        "seeing lost, boxes",
        "boxes beyond questions, points (95 %)",
        "which falls further",
    )
    return markdown_table(head, lines)


def _positions(rows: list[dict]) -> str:
    lines = []
    for row in rows:
        if "refused" in row:
            lines.append((row["title"], _percent(row["ratio"]), f"refused: {row['refused']}"))
            continue
        lines.append(
            (
                f"{row['title']} (published: {row['published'].upper()})",
                _percent(row["ratio"]),
                *(_rate(row[name]["grounding"]) for name in STRATEGIES),
                *(_p(test["p_holm"]) for test in row["tests"].values()),
                *(_rate(row[name]["questions"]) for name in STRATEGIES),
            )
        )
    head = (
        "selection",
        "asked",
        *(f"boxes, {name.upper()}" for name in STRATEGIES),
        *(f"p, {first.upper()} against {second.upper()}" for first, second in PAIRS),
        *(f"questions, {name.upper()}" for name in STRATEGIES),
    )
    return markdown_table(head, lines)


def _clips(rows: list[dict]) -> str:
    lines = []
    for row in rows:
        name = row["title"] + ("" if row["positions"] == "published" else ", PESP")
        if "refused" in row:
            lines.append((name, _percent(row["ratio"]), f"refused: {row['refused']}"))
            continue
        beside = [f" ({_p(test['p_holm'])})" for test in row.get("flashvid", {}).values()]
        cells = zip(CLIP_RATES, beside or [""] * len(CLIP_RATES), strict=True)
        rates = [_rate(row[rate]) + p for rate, p in cells]
        lines.append((name, _percent(row["ran"]), *rates))
    return markdown_table(("method", "run", *CLIP_RATES.values()), lines)


def _rate(rate: dict[str, float]) -> str:
    return f"{rate['mean']:.3f} ± {rate['spread']:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
