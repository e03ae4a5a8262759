"""Runs every method on every tiny model and stores which run, and why the others refuse.

`python -m tests.matrix` writes the results that docs/models.md shows.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from app.docs.pages import MATRIX
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from pruning.base import CompressionMethod
from pruning.budget import BudgetError
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, create
from tests.cases import GAZE
from tests.tiny import SETTINGS, Setting

QUESTION = "What is this?"
RATIO = 0.3  # or the smallest that a method can reach in 8 layers


def matrix() -> dict[str, Any]:
    """One cell for each method on each model."""
    cells = [cell(setting, method) for method in METHODS for setting in SETTINGS]
    return {"retention_ratio": RATIO, "cells": cells}


def cell(setting: Setting, method: type[CompressionMethod]) -> dict[str, Any]:
    """The measured ratio of a lane that answers with two tokens, or the reason of its refusal."""
    knobs = {"retention_ratio": RATIO} if hasattr(method, "retention_ratio") else {}
    tuned = create(method.name, family=setting.family, **knobs)
    pair = {"method": method.name, "preset": tuned.preset, "setting": setting.id}
    pair |= {"family": setting.family, "kind": setting.upload().kind}
    try:
        result = run(setting, tuned)
    except UnsupportedError as error:
        return {**pair, "measured_ratio": None, "refused": str(error)}
    return {**pair, "measured_ratio": round(result.trace.average, 3), "refused": ""}


def run(setting: Setting, method: CompressionMethod) -> LaneResult:
    """Run a lane; below the smallest ratio of the method, at that ratio."""
    try:
        *_, result = run_lane(
            setting.model(), setting.upload(), QUESTION, method, gaze=GAZE, max_new_tokens=2
        )
    except BudgetError as error:
        return run(setting, replace(method, retention_ratio=math.ceil(1e3 * error.smallest) / 1e3))
    return result


if __name__ == "__main__":
    MATRIX.write_text(json.dumps(matrix(), indent=1) + "\n", encoding="utf-8")
    print(MATRIX)
