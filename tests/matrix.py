"""Every method on every tiny model, as the family has it: what runs, and what refuses and why.

`python -m tests.matrix` writes what docs/models.md shows.
"""

from __future__ import annotations

import json
from typing import Any

from app.catalogue.write import MATRIX
from models.pipeline import run_lane
from pruning.base import CompressionMethod
from pruning.methods import METHODS, create
from tests.tiny import SETTINGS, Setting

RATIO = 0.6  # that every method can reach in 8 layers


def matrix() -> dict[str, Any]:
    """The rows of the matrix: a method on a model, which ran or refused."""
    cells = [cell(setting, method) for method in METHODS for setting in SETTINGS]
    return {"retention_ratio": RATIO, "cells": cells}


def cell(setting: Setting, method: type[CompressionMethod]) -> dict[str, Any]:
    """A lane of two tokens from end to end: the ratio measured, or the sentence that refuses."""
    knobs = {"retention_ratio": RATIO} if hasattr(method, "retention_ratio") else {}
    made, upload = create(method.name, family=setting.family, **knobs), setting.upload()
    told = {"method": method.name, "preset": made.preset, "setting": setting.id}
    told |= {"family": setting.family, "kind": upload.kind}
    try:
        *_, result = run_lane(setting.model(), upload, "What is this?", made, max_new_tokens=2)
    except ValueError as error:
        return {**told, "measured_ratio": None, "refused": str(error)}
    return {**told, "measured_ratio": round(result.trace.average, 3), "refused": ""}


if __name__ == "__main__":
    MATRIX.write_text(json.dumps(matrix(), indent=1) + "\n", encoding="utf-8")
    print(MATRIX)
