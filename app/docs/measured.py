"""Sentences of the docs from stored reports of measuring commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.settings import ROOT

RESULTS = ROOT / "assets" / "results"


def measured(path: Path, command: str, text: Callable[[dict[str, Any]], str]) -> str:
    """The text of a stored report; of one that is not stored, the command that makes it."""
    if not path.exists():
        return f"`{command} --json assets/results/{path.name}`: not measured yet."
    return text(json.loads(path.read_text(encoding="utf-8")))


def machine_text(report: dict[str, Any]) -> str:
    return f"Machine: {report['machine']}; running or waiting processes: {report['load']}."
