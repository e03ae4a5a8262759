"""Tables of all methods against down-sampling at the same ratio, from the results of `bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.measure.foil import cells, read
from app.render.table import markdown_table
from app.render.tested import NOT_MEASURED

UNITS = ("scenes", "clips")


def against(reports: Sequence[Mapping[str, Any]]) -> str:
    """A table for each report and ratio."""
    parts = [part for report in reports for part in _tables(report)]
    return "\n\n".join(parts) if parts else f"{NOT_MEASURED.capitalize()}."


def _tables(report: Mapping[str, Any]) -> list[str]:
    unit = next(unit for unit in UNITS if unit in report)
    return [
        f"**{100 * ratio:.1f} %**, {report[unit]:,} {unit} on `{report['model']}`:\n\n"
        + markdown_table(head, [[f"`{name}`", *rest] for name, *rest in rows])
        for ratio, head, rows in cells(read(report))
    ]
