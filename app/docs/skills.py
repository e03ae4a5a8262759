"""The table of right answers by skill, from the results of `bench --split skills`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.docs.answers import refusal_cell
from app.measure.skills import cells, heads
from app.render.table import markdown_table
from app.render.tested import NOT_MEASURED


def skills(report: Mapping[str, Any] | None) -> str:
    """The counts of questions, then a row for each method and ratio."""
    if report is None:
        return f"{NOT_MEASURED.capitalize()}."
    counts = ", ".join(f"{count} of {skill}" for skill, count in report["questions"].items())
    head = ("", "asked", *heads(report))
    rows = [(f"`{row['method']}`", _asked(row), *_cells(report, row)) for row in report["rows"]]
    about = f"**{report['scenes']:,} scenes** on `{report['model']}`, questions: {counts}."
    return f"{about}\n\n{markdown_table(head, rows)}"


def _asked(row: Mapping[str, Any]) -> str:
    return "" if row["retention_ratio"] is None else f"{row['retention_ratio']:.1%}"


def _cells(report: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    refused = refusal_cell(row)
    return [refused] * len(list(heads(report))) if refused else cells(report, row)
