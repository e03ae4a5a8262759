"""Every method on every tiny model, as the family has it: what runs, and what refuses and why.

`python -m tests.matrix` writes what docs/models.md shows.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from app.docs.write_models import MATRIX
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from pruning.base import CompressionMethod
from pruning.budget import BudgetError
from pruning.methods import METHODS, create
from tests.tiny import SETTINGS, Setting

QUESTION = "What is this?"
RATIO = 0.3  # or the smallest that a method can reach in 8 layers


def matrix() -> dict[str, Any]:
    """The rows of the matrix: a method on a model, which ran or refused."""
    cells = [cell(setting, method) for method in METHODS for setting in SETTINGS]
    return {"retention_ratio": RATIO, "cells": cells}


def cell(setting: Setting, method: type[CompressionMethod]) -> dict[str, Any]:
    """A lane of two tokens from end to end: the ratio measured, or the sentence that refuses."""
    knobs = {"retention_ratio": RATIO} if hasattr(method, "retention_ratio") else {}
    made = create(method.name, family=setting.family, **knobs)
    told = {"method": method.name, "preset": made.preset, "setting": setting.id}
    told |= {"family": setting.family, "kind": setting.upload().kind}
    try:
        result = run(setting, made)
    except ValueError as error:
        return {**told, "measured_ratio": None, "refused": str(error)}
    return {**told, "measured_ratio": round(result.trace.average, 3), "refused": ""}


def run(setting: Setting, method: CompressionMethod) -> LaneResult:
    """At its smallest ratio where it cannot go as low."""
    try:
        *_, result = run_lane(setting.model(), setting.upload(), QUESTION, method, max_new_tokens=2)
    except BudgetError as error:
        return run(setting, replace(method, retention_ratio=math.ceil(1e3 * error.smallest) / 1e3))
    return result


if __name__ == "__main__":
    MATRIX.write_text(json.dumps(matrix(), indent=1) + "\n", encoding="utf-8")
    print(MATRIX)
