"""The report of laws and parity tests counts what ran, and the one in the checkout is of today."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from pruning.methods import METHODS
from tests.cases import CASES
from tests.methods_report import REPORT, MethodsReport, subject

ROOT = Path(__file__).resolve().parent.parent
NAMES = {method.name for method in METHODS}
NUWA = next(case for case in CASES if case.name == "nuwa:paper")


def item(test: str, parity: str = "", **params: object) -> SimpleNamespace:
    """A test as pytest hands it over."""
    mark = SimpleNamespace(args=(parity,)) if parity else None
    return SimpleNamespace(
        nodeid=f"test.py::{test}{params}",
        originalname=test,
        callspec=SimpleNamespace(params=params),
        get_closest_marker={"parity": mark}.get,
    )


def outcome(of: SimpleNamespace, outcome: str, when: str = "call") -> SimpleNamespace:
    return SimpleNamespace(nodeid=of.nodeid, when=when, outcome=outcome)


def test_a_test_over_a_row_of_the_table_is_a_law_of_its_method() -> None:
    assert subject(item("test_law", case=NUWA)) == ("laws", "nuwa")
    assert subject(item("test_law", lane=("a setting", NUWA), dtype="float32")) == ("laws", "nuwa")
    assert subject(item("test_other", name="nuwa")) is None
    assert subject(SimpleNamespace(get_closest_marker={}.get)) is None


def test_a_test_over_stored_outputs_is_a_parity_test_of_their_method() -> None:
    assert subject(item("test_parity", parity="fastv", case="case0")) == ("parity", "fastv")


def test_every_outcome_is_counted_under_its_method_and_test(tmp_path: Path) -> None:
    report = MethodsReport(tmp_path / "report.json")
    law = [item("test_law", case=NUWA, turn=turn) for turn in range(3)]
    parity, other = item("test_parity", parity="fastv", case="case0"), item("test_other")
    for one in (*law, parity, other):
        report.pytest_runtest_setup(one)
        report.pytest_runtest_logreport(outcome(one, "passed", when="setup"))
    for one, how in zip((*law, other), ("passed", "failed", "passed", "passed"), strict=True):
        report.pytest_runtest_logreport(outcome(one, how))
    report.pytest_runtest_logreport(outcome(parity, "failed", when="teardown"))
    report.pytest_sessionfinish()
    written = json.loads(report.path.read_text())
    assert written["methods"] == {
        "nuwa": {"laws": {"test_law": {"passed": 2, "failed": 1}}, "parity": {}},
        "fastv": {"laws": {}, "parity": {"test_parity": {"failed": 1}}},
    }
    assert {"python", "torch", "transformers"} < set(written)


def test_the_report_in_the_checkout_has_every_test_of_this_session_as_passed(
    request: pytest.FixtureRequest,
) -> None:
    """Where it has not: `make methods`."""
    stored = json.loads(REPORT.read_text())["methods"]
    assert set(stored) >= NAMES
    about = [(subject(one), one.originalname) for one in request.session.items]
    for (told, test), runs in Counter(about).items():
        if told and told[1] in NAMES:
            kind, method = told
            counts = stored[method][kind].get(test, {})
            assert set(counts) == {"passed"} and counts["passed"] >= runs, (method, test)


def test_the_report_in_the_checkout_has_no_test_that_is_gone() -> None:
    """Where it has one: `make methods`."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for told in json.loads(REPORT.read_text())["methods"].values():
        for name in (*told["laws"], *told["parity"]):
            assert f"def {name}(" in tests
