"""Pytest plugin: reports which laws and which parity tests each method passes.

A law is a test that takes a row of tests/cases.py. A parity test compares with stored outputs of
official code (`over` in tests/pruning/golden.py). Each has the mark of its kind.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

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


class MethodsReport:
    """Collects by method and test whether all runs passed; writes JSON at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: dict[tuple[str, str, str], bool] = {}  # (kind, method, test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        about = dict(report.user_properties).get(PROPERTY)
        if about and (report.when == "call" or report.outcome != "passed"):
            key = tuple(about)
            self.passed[key] = report.passed and self.passed.get(key, True)

    def pytest_sessionfinish(self) -> None:
        methods: dict[str, dict[str, dict[str, bool]]] = {}
        for kind, method, test in sorted(self.passed):
            results = methods.setdefault(method, {"laws": {}, "parity": {}})
            results[kind][test] = self.passed[kind, method, test]
        versions = {name: version(name) for name in ("torch", "transformers")}
        report = {"python": platform.python_version()} | versions | {"methods": methods}
        self.path.write_text(json.dumps(report, indent=1) + "\n")
