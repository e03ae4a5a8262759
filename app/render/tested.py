"""Which laws and which parity tests a method passes, in words, from what a run of them left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.settings import ROOT

TESTED = ROOT / "assets" / "results" / "methods-tests.json"
NOT_RUN: Mapping[str, Any] = {"laws": {}, "parity": {}}
SPELLED = {"llm": "LLM", "cls": "[CLS]"}


@lru_cache
def results() -> Mapping[str, Any]:
    """What tests/methods_report.py wrote: versions, and under "methods" how each fared."""
    told: Mapping[str, Any] = json.loads(TESTED.read_text(encoding="utf-8"))
    return told


def laws(ran: Mapping[str, Any]) -> str:
    """How many laws a method passes, and those that it breaks, by name."""
    passed = [test for test, counts in ran["laws"].items() if holds(counts)]
    said = f"{len(passed)} of {len(ran['laws'])} pass" if ran["laws"] else "not run yet"
    if broken := [sentence(test) for test in ran["laws"] if test not in passed]:
        said += f"; broken: {', '.join(broken)}"
    return said


def parity(ran: Mapping[str, Any]) -> str:
    """What equals stored outputs of the official code, and how many of them."""
    told = [
        f"{sentence(test)} ({counts.get('passed', 0)} of {sum(counts.values())} stored outputs)"
        for test, counts in ran["parity"].items()
    ]
    return "; ".join(told) or "no stored outputs"


def holds(counts: Mapping[str, int]) -> bool:
    return set(counts) == {"passed"}


def sentence(test: str) -> str:
    """What a test's name says."""
    words = test.removeprefix("test_").split("_")
    return " ".join(SPELLED.get(word, word) for word in words)
