"""What reports share: a table with a row a lane, and the conditions as text.

A report has "model", "conditions" (name: text) and "rows". Every row has "method" as a person types
it, "retention_ratio" (None: the method has none), "measured_ratio" and "refused" (why the lane did
not run, or ""). The other columns are the measurement's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.render.table import text_table

Report = Mapping[str, Any]
Row = Mapping[str, Any]
NONE = "–"  # in place of a figure that was not measured


def lane_table(rows: Sequence[Row], columns: Mapping[str, Callable[[Row], str]]) -> str:
    """Fixed-width text: method, asked and measured ratio, then `columns` by their heads."""
    lines = []
    for row in rows:
        asked = "" if row["retention_ratio"] is None else f"{row['retention_ratio']:.1%}"
        if row["refused"]:
            lines.append((row["method"], asked, f"refused: {row['refused']}"))
        else:
            cells = (text(row) for text in columns.values())
            lines.append((row["method"], asked, f"{row['measured_ratio']:.1%}", *cells))
    return text_table(("method", "asked", "run", *columns), lines, numbers=True)


def describe_conditions(report: Report) -> str:
    return ", ".join(f"{name} {value}" for name, value in report["conditions"].items())


def check_counts(limits: Mapping[str, int], **counts: int) -> None:
    """Raises a `ValueError` for a count below 1 or above its limit."""
    for name, count in counts.items():
        if not 1 <= count <= limits[name]:
            raise ValueError(f"{name.title()}: {count} came, wanted 1 to {limits[name]:,}.")
