"""The GPU tables of docs/benchmarks.md, from the reports in assets/results/gpu."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.render.table import markdown_table
from app.settings import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "assets" / "results" / "gpu"
START, END = "<!-- gpu: by make docs -->", "<!-- gpu: end -->"
NOTHING = "`make gpu` has not been run on a GPU yet, so this page has no GPU figures."
CEILINGS = {"copy_gb_s": "copy, GB/s", "bf16_tflop_s": "bf16 product, TFLOP/s"}
LANE = {
    "method": "method",
    "visual_tokens": "tokens",
    "encode": "encode ms",
    "compress": "compress ms",
    "prefill": "prefill ms",
    "token_ms": "ms a token",
    "cache_mb": "cache MB",
    "peak_mb": "peak MB",
}
COST = {"method": "method", "tokens": "tokens", "ms": "ms"}
TRAINING = {
    "model": "model",
    "batch": "batch",
    "step_ms": "ms a step",
    "uploads_s": "uploads a second",
    "peak_mb": "peak MB",
}


def markdown() -> str:
    """The page with its GPU tables made anew; the text around them stays."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{section(RESULTS)}\n\n{END}{after}"


def section(folder: Path) -> str:
    """The tables of every report in a folder, or a sentence if there is none."""
    reports = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    ]
    return "\n\n".join(map(of_report, reports)) if reports else NOTHING


def of_report(report: dict[str, Any]) -> str:
    """One machine: its conditions, a table for each step, failures and refusals."""
    conditions, steps = report["conditions"], report["steps"]
    rest = ", ".join(f"{name} {value}" for name, value in conditions.items() if name != "device")
    parts = [f"### {conditions['device']}", f"{rest}."]
    for name, step in steps.items():
        if "failed" in step:
            parts.append(f"**{name}** failed: {step['failed']}")
        else:
            parts += TABLES.get(name, of_lanes)(name, step)
    return "\n\n".join(part for part in parts if part)


def of_ceilings(name: str, step: dict[str, Any]) -> list[str]:
    rows = [{"what": title, "value": step.get(key)} for key, title in CEILINGS.items()]
    return ["**Ceilings**", table(rows, {"what": "what", "value": "at best"})]


def of_checks(name: str, step: dict[str, Any]) -> list[str]:
    different = [row for row in step["rows"] if not row["equal"]]
    heads = ("model", "dtype", "method", "anchors_differ", "weights_differ", "repeats_itself")
    count = len(step["rows"])
    summary = f"{count - len(different)} of {count} are equal and repeat themselves."
    return [
        "**Methods on the GPU against the CPU**",
        summary,
        table(different, {key: key for key in heads}),
    ]


def of_tests(name: str, step: dict[str, Any]) -> list[str]:
    return [f"**Tests marked gpu**: {step['summary'].strip()}"]


def of_compression(name: str, step: dict[str, Any]) -> list[str]:
    parts = []
    for title, size in step["sizes"].items():
        parts += [f"**Compression alone, {title}, {step['dtype']}**", *measured(size["rows"], COST)]
    return parts


def of_lanes(name: str, step: dict[str, Any]) -> list[str]:
    parts = [f"**{name}, random weights**", *measured(step["rows"], LANE)]
    stock = ", ".join(f"{key} {value:,}" for key, value in step.get("generate", {}).items())
    parts.append(f"`generate`: {stock}." if stock else "")
    floor, kernels = step.get("decode_floor_ms"), step.get("attention_kernels")
    parts.append(f"Reading the LLM's weights once takes {floor} ms." if floor else "")
    parts.append(f"Attention kernels: {', '.join(kernels)}." if kernels else "")
    return parts


def of_training(name: str, step: dict[str, Any]) -> list[str]:
    return [f"**Training, {step['dtype']}**", *measured(step["rows"], TRAINING)]


def measured(rows: Sequence[dict[str, Any]], heads: dict[str, str]) -> list[str]:
    """A table of the rows with figures, and one line for each refused method."""
    ran = [row for row in rows if "refused" not in row]
    refused = [f"{row[next(iter(heads))]}: {row['refused']}" for row in rows if "refused" in row]
    return [table(ran, heads), "\n".join(f"- {line}" for line in refused)]


def table(rows: Sequence[dict[str, Any]], heads: dict[str, str]) -> str:
    """Markdown; empty if there are no rows."""
    cells = [[cell(row.get(key)) for key in heads] for row in rows]
    return markdown_table(tuple(heads.values()), cells) if rows else ""


def cell(value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return f"{value}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


TABLES = {
    "ceilings": of_ceilings,
    "same": of_checks,
    "tests": of_tests,
    "compression": of_compression,
    "training": of_training,
}
