"""The report of laws and parity tests, and that the stored report is of today."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.render.tested import results
from app.settings import ROOT
from pruning.methods import METHODS
from tests.cases import CASES
from tests.methods_report import PROPERTY, MethodsReport, mark, subject

STORED = results()["methods"]
NUWA = next(case for case in CASES if case.name == "nuwa:paper")


def item(test: str, parity: str = "", **params: object) -> SimpleNamespace:
    """A collected test."""
    mark = SimpleNamespace(args=(parity,)) if parity else None
    return SimpleNamespace(
        originalname=test,
        callspec=SimpleNamespace(params=params),
        get_closest_marker={"parity": mark}.get,
        user_properties=[],
        marks=(marks := []),
        add_marker=marks.append,
    )


def report(of: SimpleNamespace, outcome: str, when: str = "call", **more) -> SimpleNamespace:
    passed = outcome == "passed"
    properties = of.user_properties
    return SimpleNamespace(
        user_properties=properties, when=when, outcome=outcome, passed=passed, **more
    )


def test_a_test_with_a_row_of_the_table_is_a_law_of_its_method() -> None:
    assert subject(item("test_law", case=NUWA)) == ("laws", "nuwa")
    assert subject(item("test_law", lane=("a setting", NUWA), dtype="float32")) == ("laws", "nuwa")
    assert subject(item("test_other", name="nuwa")) is None
    assert subject(SimpleNamespace(get_closest_marker={}.get)) is None


def test_a_test_with_stored_outputs_is_a_parity_test_of_their_method() -> None:
    assert subject(item("test_parity", parity="fastv", case="case0")) == ("parity", "fastv")


def test_a_law_is_marked_and_its_report_names_the_method() -> None:
    law, other = item("test_law", case=NUWA), item("test_other")
    mark(law)
    mark(other)
    assert law.marks == ["law"] and other.marks == []
    assert law.user_properties == [(PROPERTY, ["laws", "nuwa", "test_law"])]
    assert other.user_properties == []


def test_a_law_holds_if_each_of_its_runs_passes(tmp_path: Path) -> None:
    plugin = MethodsReport(tmp_path / "report.json")
    held, broken = item("test_held", case=NUWA), item("test_broken", case=NUWA)
    parity, other = item("test_parity", parity="fastv", case="case0"), item("test_other")
    for one in (held, broken, parity, other):
        mark(one)
        plugin.pytest_runtest_logreport(report(one, "passed", when="setup"))
    for one, outcome in (
        (held, "passed"),
        (broken, "failed"),
        (broken, "passed"),
        (other, "passed"),
    ):
        plugin.pytest_runtest_logreport(report(one, outcome))
    plugin.pytest_runtest_logreport(report(parity, "failed", when="teardown"))
    plugin.pytest_sessionfinish()
    written = json.loads(plugin.path.read_text())
    assert written["methods"] == {
        "nuwa": {"laws": {"test_broken": False, "test_held": True}, "parity": {}},
        "fastv": {
            "laws": {},
            "parity": {"test_parity": {"passed": False, "cases": 0, "differ": 0}},
        },
    }
    assert {"python", "torch", "transformers"} < set(written)


def test_a_case_where_ours_differs_is_counted_and_breaks_nothing(tmp_path: Path) -> None:
    plugin = MethodsReport(tmp_path / "report.json")
    parity = item("test_parity", parity="nuwa", case="case0")
    mark(parity)
    plugin.pytest_runtest_logreport(report(parity, "passed"))
    plugin.pytest_runtest_logreport(report(parity, "skipped", wasxfail="reason"))
    ((_, result),) = plugin.results.items()
    assert (result.passed, result.cases, result.differ) == (True, 2, 1)


def test_the_stored_report_has_every_test_of_this_session_as_passed(
    request: pytest.FixtureRequest,
) -> None:
    """A new method has no results yet. On failure: `make methods docs`."""
    known = {method.name for method in METHODS} & STORED.keys()
    for one in request.session.items:
        kind, method = subject(one) or ("", "")
        if method in known:
            stored = STORED[method][kind].get(one.originalname)
            passed = stored["passed"] if kind == "parity" and stored else stored
            assert passed, (method, one.originalname)


def test_the_stored_report_has_no_test_that_is_gone() -> None:
    """On failure: `make methods docs`."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for stored in STORED.values():
        for name in (*stored["laws"], *stored["parity"]):
            assert f"def {name}(" in tests
