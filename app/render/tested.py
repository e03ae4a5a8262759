"""Text about the laws that a method passes and its parity with official code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.settings import ROOT

TESTED = ROOT / "assets" / "results" / "methods-tests.json"
NOT_MEASURED = "not measured"
SPELLED = {"llm": "LLM", "cls": "[CLS]"}


@lru_cache
def results() -> Mapping[str, Any]:
    """The report that tests/methods_report.py wrote: versions, and the results by method."""
    report: Mapping[str, Any] = json.loads(TESTED.read_text(encoding="utf-8"))
    return report


def laws(report: Mapping[str, Any] | None) -> str:
    """Whether all laws hold, else those that do not. `report` is of one method."""
    if report is None:
        return NOT_MEASURED
    broken = [sentence(test) for test, passed in report["laws"].items() if not passed]
    return f"broken: {', '.join(broken)}" if broken else "all hold"


def parity(report: Mapping[str, Any] | None) -> str:
    """The parity tests of a method as sentences, with the stored cases in which both agree."""
    if report is None:
        return NOT_MEASURED
    tests = [
        f"{'' if result['passed'] else 'broken: '}{sentence(test)} "
        f"({result['cases'] - result['differ']} of {result['cases']} cases)"
        for test, result in report["parity"].items()
    ]
    return "; ".join(tests) or "no stored outputs"


def sentence(test: str) -> str:
    """The name of a test as a sentence."""
    words = test.removeprefix("test_").split("_")
    return " ".join(SPELLED.get(word, word) for word in words)
