"""Pytest plugin: reports which laws and which parity tests each method passes.

A law is a test that takes a row of tests/cases.py. A parity test compares with stored outputs of
official code (`over` in tests/pruning/golden.py). Each has the mark of its kind.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.cases import Case

PROPERTY = "method"  # of a test: its kind, its method and its name; xdist hands it on


def subject(item: pytest.Item) -> tuple[str, str] | None:
    """("laws" or "parity", the method's name); None for a test of no single method.

    Laws on a GPU do not count: the report is of the CPU.
    """
    if item.get_closest_marker("gpu"):
        return None
    if mark := item.get_closest_marker("parity"):
        return "parity", mark.args[0]
    case = next((part for part in parameters(item) if isinstance(part, Case)), None)
    return case and ("laws", case.create().name)


def parameters(item: pytest.Item) -> Iterator[object]:
    """The parameters of a test; both parts of a pair."""
    call = getattr(item, "callspec", None)
    for value in call.params.values() if call else ():
        yield from value if isinstance(value, tuple) else (value,)


def mark(item: pytest.Item) -> None:
    """Mark a law as such, and note in its report which method it is about."""
    if about := subject(item):
        item.user_properties.append((PROPERTY, [*about, item.originalname]))  # type: ignore[attr-defined]
        if about[0] == "laws":
            item.add_marker("law")


@dataclass
class Result:
    """The runs of one test of one method."""

    passed: bool = True
    cases: int = 0
    differ: int = 0  # of the cases, where the test must fail: ours differs, and says so

    def add(self, report: pytest.TestReport) -> None:
        differs = hasattr(report, "wasxfail")
        self.passed &= report.passed or differs
        if report.when == "call":
            self.cases += 1
            self.differ += differs


class MethodsReport:
    """Collects the runs by method and test; writes JSON at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[tuple[str, str, str], Result] = {}  # (kind, method, test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        about = dict(report.user_properties).get(PROPERTY)
        if about and (report.when == "call" or report.outcome != "passed"):
            self.results.setdefault(tuple(about), Result()).add(report)

    def pytest_sessionfinish(self) -> None:
        methods: dict[str, dict[str, dict[str, Any]]] = {}
        for (kind, method, test), result in sorted(self.results.items()):
            of_method = methods.setdefault(method, {"laws": {}, "parity": {}})
            of_method[kind][test] = result.passed if kind == "laws" else asdict(result)
        versions = {name: version(name) for name in ("torch", "transformers")}
        report = {"python": platform.python_version()} | versions | {"methods": methods}
        self.path.write_text(json.dumps(report, indent=1) + "\n")
