"""What each method answers at each ratio, from `bench`."""

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
SIGMAS = 1.96  # of a normal distribution, on either side, that hold 95 % of it


def answers(report: Report, methods: Sequence[Method] = ()) -> str:
    """What was asked, how sure a share is and under which conditions; then the shares."""
    return "\n\n".join([_asked(report), _shares(report, methods)])


def half_width(share: float, count: int) -> float:
    """Of the 95 % interval of a share of `count` answers: the normal one to a binomial."""
    return SIGMAS * math.sqrt(share * (1 - share) / count)


def _asked(report: Report) -> str:
    boxes, others = report["questions"]["grounding"], report["questions"]["other"]
    unit = next(unit for unit in UNITS if unit in report)
    (vanilla,) = (row for row in report["rows"] if row["retention_ratio"] is None)
    conditions = ", ".join(f"{name} {told}" for name, told in report["conditions"].items())
    return (
        f"**{report[unit]:,} {unit}** on `{report['model']}` ({report['split']}, seed "
        f"{report['seed']}): {boxes:,} questions for a box, {others:,} others. With all "
        f"tokens: {_cell(vanilla)}. Sampling alone moves a share near one half by "
        f"±{_points(0.5, boxes)} points for boxes and ±{_points(0.5, others)} for the others, "
        f"one near nine tenths by ±{_points(0.9, boxes)} and ±{_points(0.9, others)} "
        f"(half of a 95 % interval, binomial): what lies nearer is no difference. "
        f"Ran with {conditions}."
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
    """Acc@0.5 · exact, or the smallest ratio."""
    if row["refused"]:
        return f"from {at_least(row['smallest'])}"
    return f"{row['grounding']:.3f} · {row['other']:.3f}"
