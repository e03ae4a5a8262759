"""The GPU tables of docs/benchmarks.md, from the reports in assets/results/gpu."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.docs import launches_part
from app.docs.marked import with_part
from app.measure.gpu.launches import PHASES, cells
from app.measure.lane_times import COLUMNS
from app.measure.report import NONE
from app.render.table import markdown_table
from app.settings import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "assets" / "results" / "gpu"
START, END = "<!-- gpu: by make docs -->", "<!-- gpu: end -->"
NOTHING = "`make gpu` has not been run on a GPU yet, so this page has no GPU figures."
CEILINGS = {"copy_gb_s": "copy, GB/s", "bf16_tflop_s": "bf16 product, TFLOP/s"}
LANE = {"method": "method", **{field: head for head, field in COLUMNS.items()}}
COST = {"method": "method", "tokens": "tokens", "ms": "ms"}
TRAINING = {
    "model": "model",
    "batch": "batch",
    "step_ms": "ms per step",
    "uploads_s": "uploads per second",
    "peak_mb": "peak MB",
}


def markdown() -> str:
    """The page with new GPU tables and counts of launches; the text around them stays."""
    before, _, rest = with_part(PAGE, "launches", launches_part.section()).partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{section(RESULTS)}\n\n{END}{after}"


def section(folder: Path) -> str:
    """The tables of every report in a folder, or a sentence if there is none."""
    paths = sorted(folder.glob("*.json"))
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return "\n\n".join(map(format_report, reports)) if reports else NOTHING


def format_report(report: dict[str, Any]) -> str:
    """One machine: its conditions, then a table or the failure of each step."""
    conditions, steps = report["conditions"], report["steps"]
    rest = ", ".join(f"{name} {value}" for name, value in conditions.items() if name != "device")
    parts = [f"### {conditions['device']}", f"{rest}."]
    for name, step in steps.items():
        if "failed" in step:
            parts.append(f"**{name}** failed: {step['failed']}")
        else:
            parts += FORMATS.get(name, format_lanes)(name, step)
    return "\n\n".join(part for part in parts if part)


def format_ceilings(name: str, step: dict[str, Any]) -> list[str]:
    rows = [[title, format_cell(step.get(key))] for key, title in CEILINGS.items()]
    return ["**Ceilings**", markdown_table(("limit", "measured"), rows)]


def format_checks(name: str, step: dict[str, Any]) -> list[str]:
    ran = [row for row in step["rows"] if "refused" not in row]
    different = [row for row in ran if not row["equal"]]
    heads = ("model", "dtype", "method", "anchors_differ", "weights_differ", "repeats_itself")
    return [
        "**Methods on the GPU against the CPU**",
        f"{len(ran) - len(different)} of {len(ran)} are equal and repeat themselves; "
        f"{len(step['rows']) - len(ran)} do not run at this ratio.",
        table(different, {key: key.replace("_", " ") for key in (*heads, "failed")}),
    ]


def format_tests(name: str, step: dict[str, Any]) -> list[str]:
    return [f"**Tests marked gpu**: {step['passed']} of {step['chosen']} passed."]


def format_compression(name: str, step: dict[str, Any]) -> list[str]:
    parts = []
    for title, size in step["sizes"].items():
        ratio = f"{size['retention_ratio']:.1%} kept" if "retention_ratio" in size else ""
        head = ", ".join(filter(None, ("Compression alone", title, step["dtype"], ratio)))
        parts += [f"**{head}**", *rows_and_refusals(size["rows"], COST)]
    return parts


def format_lanes(name: str, step: dict[str, Any]) -> list[str]:
    parts = [f"**{name}, random weights**", *rows_and_refusals(step["rows"], LANE)]
    figures = step.get("generate", {}).items()
    stock = ", ".join(f"{key} {format_cell(value)}" for key, value in figures)
    parts.append(f"`generate`: {stock}." if stock else "")
    floor, kernels = step.get("decode_floor_ms"), step.get("attention_kernels")
    parts.append(f"Reading the LLM's weights once takes {format_cell(floor)} ms." if floor else "")
    names = ", ".join(f"`{one}`" for one in kernels or ()) if isinstance(kernels, list) else ""
    parts.append(f"Attention kernels: {names}." if names else "")
    if counted := step.get("launches", {}).get("methods"):
        launches = [[row["method"], *cells(row)] for row in counted]
        parts.append("Kernels launched / waits of the host, by phase:")
        parts.append(markdown_table(("method", *PHASES), launches))
    for part in ("attention_kernels", "launches"):
        failed = isinstance(step.get(part), dict) and step[part].get("failed")
        parts.append(f"{part} failed: {failed}" if failed else "")
    return parts


def format_training(name: str, step: dict[str, Any]) -> list[str]:
    return [f"**Training, {step['dtype']}**", *rows_and_refusals(step["rows"], TRAINING)]


def rows_and_refusals(rows: Sequence[dict[str, Any]], heads: dict[str, str]) -> list[str]:
    """A table of the rows with figures, and one line for each refused row."""
    ran = [row for row in rows if not row.get("refused")]
    refused = [
        f"- {row[next(iter(heads))]}: {row['refused']}" for row in rows if row.get("refused")
    ]
    return [table(ran, heads), "\n".join(refused)]


def table(rows: Sequence[dict[str, Any]], heads: dict[str, str]) -> str:
    """Markdown; empty if there are no rows."""
    lines = [[format_cell(row.get(key)) for key in heads] for row in rows]
    return markdown_table(tuple(heads.values()), lines) if rows else ""


def format_cell(value: Any) -> str:
    if value is None:
        return NONE
    if not isinstance(value, float):
        return f"{value}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


FORMATS = {
    "ceilings": format_ceilings,
    "same": format_checks,
    "tests": format_tests,
    "compression": format_compression,
    "training": format_training,
}
