"""The accuracy of each method at each ratio, from the results of `bench`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from app.render.method_text import Method
from app.render.table import markdown_table
from app.render.tested import NOT_MEASURED
from models.catalog import find
from pruning.budget import at_least

Report = Mapping[str, Any]  # as app/measure/bench.py writes it
UNITS = ("scenes", "clips")
SIGMAS = 1.96  # half of a 95 % interval, in standard deviations


def answers(report: Report, methods: Sequence[Method] = ()) -> str:
    """The questions, the sampling error and the conditions; then a table of the shares."""
    reasons = {row["method"]: row["refused"] for row in report["rows"] if _is_refused(row)}
    refused = [f"`{method}` is refused: {reason}" for method, reason in reasons.items()]
    return "\n\n".join([_conditions(report), _shares(report, methods), *refused])


def half_width(share: float, count: int) -> float:
    """Half of the 95 % interval of a share of `count` answers, by the normal approximation."""
    return SIGMAS * math.sqrt(share * (1 - share) / count)


def _conditions(report: Report) -> str:
    boxes, others = report["questions"]["grounding"], report["questions"]["other"]
    unit = next(unit for unit in UNITS if unit in report)
    (vanilla,) = (row for row in report["rows"] if row["retention_ratio"] is None)
    conditions = ", ".join(f"{name} {value}" for name, value in report["conditions"].items())
    return (
        f"**{report[unit]:,} {unit}** on `{report['model']}` ({report['split']}, seed "
        f"{report['seed']}): {boxes:,} questions for a box, {others:,} others. With all "
        f"tokens: {_cell(vanilla)}. The sampling error (half of a 95 % interval, binomial) of a "
        f"share near 0.5 is ±{_points(0.5, boxes)} points for boxes and ±{_points(0.5, others)} "
        f"for the others; of a share near 0.9, ±{_points(0.9, boxes)} and "
        f"±{_points(0.9, others)}. Smaller differences mean nothing. Conditions: {conditions}."
    )


def _points(share: float, count: int) -> str:
    return f"{100 * half_width(share, count):.1f}"


def _shares(report: Report, methods: Sequence[Method]) -> str:
    """A row for each method, a column for each ratio."""
    rows = [row for row in report["rows"] if row["retention_ratio"] is not None]
    cells = {(row["method"], row["retention_ratio"]): _cell(row) for row in rows}
    names = dict.fromkeys(name for name, _ in cells)
    ratios = sorted({ratio for _, ratio in cells}, reverse=True)
    rows = [(f"`{name}`", *(cells[name, ratio] for ratio in ratios)) for name in names]
    rows += [(f"`{name}`", *[NOT_MEASURED] * len(ratios)) for name in _missing(report, methods)]
    return markdown_table(("", *(f"{100 * ratio:.1f} %" for ratio in ratios)), rows)


def _missing(report: Report, methods: Sequence[Method]) -> list[str]:
    """Methods that take the model's media and have no row."""
    measured = {row["method"].partition(":")[0] for row in report["rows"]}
    media = find(report["model"]).media
    return [one.name for one in methods if one.media & media and one.name not in measured]


def _cell(row: Mapping[str, Any]) -> str:
    """Acc@0.5 · share of exact answers, or the smallest ratio."""
    return refusal_cell(row) or f"{row['grounding']:.3f} · {row['other']:.3f}"


def refusal_cell(row: Mapping[str, Any]) -> str:
    """The smallest ratio of a refused row, if it has one; empty for a row that ran."""
    if _is_refused(row):
        return "refused"
    return f"from {at_least(row['smallest'])}" if row["refused"] else ""


def _is_refused(row: Mapping[str, Any]) -> bool:
    """Whether the method is refused at any ratio."""
    return bool(row["refused"]) and row["smallest"] is None
