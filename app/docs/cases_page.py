"""The measured part of docs/cases.md, from stored reports."""

from __future__ import annotations

from typing import Any

from app.docs.marked import with_part
from app.docs.measured import RESULTS, machine_text, measured
from app.settings import ROOT

PAGE = ROOT / "docs" / "cases.md"
STORE = RESULTS / "cases-store.json"  # of `cases measure`
KILLED = RESULTS / "cases-killed.json"  # of tests/killed_run.py

MEASURE = "python -m app cases measure"
KILLED_RUN = "python -m tests.killed_run --count {}"


def markdown() -> str:
    """The page with its figures; a report that is not stored is named with its command.

    Raises `ValueError` where the place of the figures is missing.
    """
    parts = [
        measured(STORE, MEASURE, store_text),
        measured(KILLED, KILLED_RUN.format(300), killed_text),
    ]
    return with_part(PAGE, "measured", "\n\n".join(parts))


def store_text(report: dict[str, Any]) -> str:
    return (
        f"`{MEASURE} --json assets/results/{STORE.name}` writes "
        f"{report['cases']:,} synthetic cases × {report['lanes']} lanes of {report['tokens']} "
        f"tokens: store {report['bytes'] / 1e6:.0f} MB without pictures, opening "
        f"{report['open_s']:.2f} s, filter {_ms(report['filter_s'])}, search "
        f"{_ms(report['search_s'])}, summary {_ms(report['summary_s'])}, verdict "
        f"{_ms(report['remark_s'])}. Asked of the page by HTTP, with pictures and without the "
        f"browser's own time: first page of the run {report['first_page_s']:.2f} s, next page "
        f"{_ms(report['page_s'])}, a case {_ms(report['case_s'])}. Times are processor time; "
        f"the next page was waited for {_ms(report['page_waited_s'])}. {machine_text(report)}"
    )


def killed_text(report: dict[str, Any]) -> str:
    first, second = report["killed_after"]
    same = "are the same" if report["same"] else "differ"
    return (
        f"`{KILLED_RUN.format(report['cases'])} --json "
        f"assets/results/{KILLED.name}` asks {report['cases']} drawn cases under "
        f"{report['lanes']} lanes twice, once killed (`kill -9`) after {first} and after {second} "
        f"cases: all figures and the fates of all tokens {same}. With loading the model, a case "
        f"takes {report['run_cpu_s']:.2f} s of processor time in the run and "
        f"{report['bench_cpu_s']:.2f} s in `bench` with the same questions and lanes, which "
        "encodes a picture once for all lanes; the run's median lane takes "
        f"{report['lane_ms']:.0f} ms. "
        f"{machine_text(report)}"
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"
