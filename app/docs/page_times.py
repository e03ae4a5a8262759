"""The part of docs/benchmarks.md on what a visitor waits for, from a stored report."""

from __future__ import annotations

from typing import Any

from app.docs.marked import with_part
from app.docs.measured import RESULTS, machine_text, measured
from app.settings import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
TIMES = RESULTS / "page-times.json"
MEASURE = "python -m tests.page_times"


def markdown() -> str:
    """The page with its figures. Raises `ValueError` where the place of the part is missing."""
    return with_part(PAGE, "page-times", measured(TIMES, MEASURE, times_text))


def times_text(report: dict[str, Any]) -> str:
    return (
        f"`{MEASURE} --json assets/results/{TIMES.name}`, in Chromium at 1280 × 720, medians of "
        f"{report['repeats']}: first view, with its pictures drawn, "
        f"{report['first_view_s']:.2f} s and {report['first_view_kb']:.0f} kB; sweep of "
        f"{report['sweep_methods']} methods × {report['sweep_ratios']} ratios, until its chart "
        f"is there, {report['sweep_s']:.1f} s; a token under the pointer, answered in every lane, "
        f"{report['hover_ms']:.1f} ms (slowest of {report['hovers']}: "
        f"{report['slowest_hover_ms']:.1f} ms). Importing the page takes "
        f"{report['import_cpu_s']:.1f} s of processor time, of which Gradio and PyTorch alone take "
        f"{report['libraries_cpu_s']:.1f} s. {machine_text(report)}"
    )
