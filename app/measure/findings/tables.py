"""Sets our shares of vanilla beside the papers': levels, and rank correlation over the methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.measure.findings.lanes import VANILLA
from app.measure.findings.published import TABLES, Cell, Table
from app.measure.findings.rates import Rates
from app.significance import bounds, draws, spearman

FEWEST = 3  # methods of a column, for a rank correlation


def count_tables(rates: Mapping[str, Rates]) -> list[dict[str, Any]]:
    """Each table of the papers about the models of `rates`, counted."""
    return [count_table(rates[table.model], table) for table in TABLES if table.model in rates]


def count_table(rates: Rates, table: Table) -> dict[str, Any]:
    """The rows of a table, and the rank correlation of each column and of all."""
    asked = rates.box if table.boxes else ~rates.box
    vanilla = rates.right_by_upload(VANILLA, asked)  # (U,)
    weights = draws(len(vanilla))  # (DRAWS, U)
    rows, drawn = [], {}
    for cell in table.cells:
        row = _row(rates, table, cell)
        if not row["refused"]:
            right = rates.right_by_upload(cell.lane, asked)
            shares = 100 * weights @ right / np.maximum(weights @ vanilla, 1)  # (DRAWS,)
            drawn[cell.column, cell.method] = shares
            ours = 100 * float(right.sum()) / max(float(vanilla.sum()), 1)
            low, high = bounds(shares)
            row |= {"measured_ratio": rates.measured_ratio(cell.lane)}
            row |= {"ours": ours, "low": low, "high": high}
            row |= {"beside": compared(cell.percent, low, high)}
        rows.append(row)
    fewest, most = rates.tokens()
    return {
        "key": table.key,
        "model": table.model,
        "vanilla": rates.rate(VANILLA, asked),
        "questions": int(asked.sum()),
        "tokens": [fewest, most],
        "rows": rows,
        "correlations": correlations(rows, drawn),
    }


def compared(theirs: float, low: float, high: float) -> str:
    """Where the paper's figure lies against our interval."""
    return "higher" if low > theirs else "lower" if high < theirs else "no difference found"


def level(theirs: float, low: float, high: float) -> str:
    """Whether at least the paper's share of vanilla is kept here."""
    return "holds" if low >= theirs else "does not hold" if high < theirs else "not decided"


def correlations(
    rows: list[dict[str, Any]], drawn: Mapping[tuple[str, str], np.ndarray]
) -> list[dict[str, Any]]:
    """Spearman's ρ of the paper's order of methods and ours, by column; last, the mean of all."""
    found, over_draws = [], []
    for column in dict.fromkeys(row["column"] for row in rows):
        ranked = [r for r in rows if r["column"] == column and r["ranked"] and not r["refused"]]
        if len(ranked) < FEWEST:
            continue
        theirs = np.array([row["theirs"] for row in ranked])
        ours = np.array([row["ours"] for row in ranked])
        shares = np.stack([drawn[column, row["method"]] for row in ranked], axis=1)  # (DRAWS, M)
        values = np.array([spearman(theirs, one) for one in shares])
        low, high = bounds(values)
        rho = spearman(theirs, ours)
        found.append({"column": column, "methods": len(ranked), "rho": rho})
        found[-1] |= {"low": low, "high": high}
        over_draws.append(values)
    if len(found) > 1:
        low, high = bounds(np.mean(over_draws, axis=0))
        mean = float(np.mean([one["rho"] for one in found]))
        methods = sum(one["methods"] for one in found)
        found.append({"column": "mean", "methods": methods, "rho": mean, "low": low, "high": high})
    return found


def _row(rates: Rates, table: Table, cell: Cell) -> dict[str, Any]:
    return {
        "method": cell.method,
        "column": cell.column,
        "retention_ratio": cell.lane.ratio,
        "theirs": cell.percent,
        "ranked": cell.ranked,
        "lead": cell.method == table.lead,
        "refused": rates.refused(cell.lane),
    }
