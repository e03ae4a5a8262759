"""The papers' tables beside ours, as text: a part of `docs/findings.md`, and of a run's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.jobs import NOUNS
from app.measure.findings.published import TABLES, Table
from app.measure.findings.tables import level
from app.render.table import markdown_table

HEAD = (
    "method",
    "column of the paper",
    "asked here",
    "run",
    "paper, % of vanilla",
    "ours, % of vanilla (95 %)",
    "ours against the paper's",
)
NOT_MEASURED = "Not measured yet: `make findings` asks the questions."
WANTED = 0.8  # rank correlation


def tables_text(counted: Sequence[dict[str, Any]]) -> str:
    """All tables of the papers; those that are not among the `counted` ones are not measured."""
    by_key = {one["key"]: one for one in counted}
    parts = []
    for table in TABLES:
        head = f"### {table.title}\n\nPaper: {table.source}."
        found = by_key.get(table.key)
        parts.append(f"{head}\n\n{_measured(table, found) if found else NOT_MEASURED}")
    return "\n\n".join(parts)


def _measured(table: Table, found: dict[str, Any]) -> str:
    parts = [
        _scope(table, found),
        markdown_table(HEAD, map(_row, found["rows"])),
        _correlations(found["correlations"]),
        "\n".join(_levels(table, found["rows"])),
    ]
    return "\n\n".join(filter(None, parts))


def _scope(table: Table, found: dict[str, Any]) -> str:
    """What is asked here, and which count of tokens stands for which column."""
    fewest, most = found["tokens"]
    tokens = f"{most}" if fewest == most else f"{fewest} to {most}"
    noun = NOUNS["image" if table.model == "embedded-image" else "video"]
    columns = "; ".join(
        f"{column}: {100 * ratio:.1f} %, {ratio * most:.0f} tokens"
        for column, ratio in table.columns.items()
    )
    asked = "questions for a box" if table.boxes else "questions that ask for no box"
    vanilla = found["vanilla"]
    return (
        f"Ours: {table.model}, {found['questions']} {asked}, of which vanilla answers "
        f"{100 * vanilla['mean']:.1f} % right. A {noun} has {tokens} tokens here, so the columns "
        f"stand for these averages over the LLM's layers: {columns}."
    )


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    known = row["method"], row["column"], _percent(row["retention_ratio"])
    if row["refused"]:
        return *known, f"refused: {row['refused']}"
    theirs = f"{row['theirs']:.1f}" if row["ranked"] else f"{row['theirs']:.1f} (its one row)"
    return *known, _percent(row["measured_ratio"]), theirs, _interval(row), row["beside"]


def _correlations(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "Rank correlation: too few methods ran."
    each = "; ".join(
        f"{row['column']} {row['rho']:.2f} ({row['low']:.2f} to {row['high']:.2f}, "
        f"{row['methods']} {'cells' if row['column'] == 'mean' else 'methods'})"
        for row in rows
    )
    reached = "reached" if rows[-1]["rho"] >= WANTED else "not reached"
    return (
        f"Rank correlation of the methods, paper's against ours (Spearman's ρ, 95 %): {each}. "
        f"Wanted: {WANTED} or more; {reached}."
    )


def _levels(table: Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Whether the paper's own method keeps at least what the paper says."""
    return [
        f"- {table.lead} keeps at least {row['theirs']:.1f} % of vanilla at {row['column']}: "
        f"**{level(row['theirs'], row['low'], row['high'])}**, ours {_interval(row)} %."
        for row in rows
        if row["lead"] and not row["refused"]
    ]


def _interval(row: dict[str, Any]) -> str:
    return f"{row['ours']:.1f} ({row['low']:.1f} to {row['high']:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
