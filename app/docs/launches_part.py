"""The tables of kernel launches and host waits in docs/benchmarks.md: counts of two commits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.measure.gpu.launches import cells
from app.measure.report import NONE
from app.render.table import markdown_table
from app.settings import ROOT

RESULTS = ROOT / "assets" / "results" / "launches"
BEFORE, NOW = "before", "now"  # folders
PHASES = {"compress": 1, "prefill": 2, "decode": 3}  # places in `cells`; the encoder's stay


def section(folder: Path = RESULTS) -> str:
    """A table a model: launches / waits of each method by phase, before and now."""
    return "\n\n".join(
        model_part(*(_read(folder / when / path.name) for when in (BEFORE, NOW)))
        for path in sorted((folder / NOW).glob("*.json"))
    )


def model_part(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """One model: its conditions in a sentence, then the table."""
    earlier = {row["method"]: row for row in before["methods"]}
    rows = [
        [row["method"], *pairs(earlier.get(row["method"], {"refused": NONE}), row)]
        for row in now["methods"]
        if "refused" not in row
    ]
    upload = f"{now['frames']} frames" if now["frames"] else "one picture"
    head = [f"{phase}, {when}" for phase in PHASES for when in (BEFORE, NOW)]
    return (
        f"**{now['model']}**, {upload}, retention ratio {now['retention_ratio']:.1%}, "
        f"{now['new_tokens']} tokens decoded:\n\n{markdown_table(['method', *head], rows)}"
    )


def pairs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Cells of the phases, before and now in turn."""
    columns = [
        [NONE] * (1 + len(PHASES)) if "refused" in row else cells(dict(row))
        for row in (before, now)
    ]
    return [column[place] for place in PHASES.values() for column in columns]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
