"""Which laws and which parity tests each method passes, written by the tests as they run.

A law is a test that takes a row of tests/cases.py, a parity test one that compares with stored
outputs of official code (`over` in tests/pruning/golden.py); both are marked as such.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from app.settings import ROOT
from tests.cases import Case

REPORT = ROOT / "assets" / "results" / "methods-tests.json"


def subject(item: pytest.Item) -> tuple[str, str] | None:
    """("laws" or "parity", the method's name) of a test that is about a method."""
    if mark := item.get_closest_marker("parity"):
        return "parity", mark.args[0]
    case = next((part for part in parameters(item) if isinstance(part, Case)), None)
    return case and ("laws", case.create().name)


def parameters(item: pytest.Item) -> Iterator[object]:
    """What a test is parametrised by; of a pair, both parts."""
    call = getattr(item, "callspec", None)
    for value in call.params.values() if call else ():
        yield from value if isinstance(value, tuple) else (value,)


class MethodsReport:
    """Counts outcomes by method and test, and writes them when all have run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.subjects: dict[str, tuple[str, str, str]] = {}  # node -> kind, method, test
        self.outcomes: dict[tuple[str, str, str], Counter[str]] = {}

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if about := subject(item):
            self.subjects[item.nodeid] = (*about, item.originalname)  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        about = self.subjects.get(report.nodeid)
        if about and (report.when == "call" or report.outcome != "passed"):
            self.outcomes.setdefault(about, Counter())[report.outcome] += 1

    def pytest_sessionfinish(self) -> None:
        methods: dict[str, dict[str, dict[str, Counter[str]]]] = {}
        for kind, method, test in sorted(self.outcomes):
            told = methods.setdefault(method, {"laws": {}, "parity": {}})
            told[kind][test] = self.outcomes[kind, method, test]
        versions = {name: version(name) for name in ("torch", "transformers")}
        written = {"python": platform.python_version()} | versions | {"methods": methods}
        self.path.write_text(json.dumps(written, indent=1) + "\n")
