"""OpenMP's threads sleep while they wait, in whatever process runs lanes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.measure.openmp import POLICIES, table

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ["app/__main__.py", "main.py", "app/measure/gpu/__main__.py"]
ASK = "import {module}, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"


def answered(module: str, **environment: str) -> list[str]:
    """The policy, and whether torch is there, once a module is imported."""
    outer = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(module=module)],
        cwd=ROOT,
        env={**outer, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.split()


def test_waiting_threads_sleep_before_torch_is_there() -> None:
    assert answered("app.__main__") == ["passive", "False"]


def test_a_policy_that_is_set_stays() -> None:
    assert answered("models.openmp", OMP_WAIT_POLICY="active") == ["active", "False"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_imports_the_policy_before_the_rest_of_the_project(entry: str) -> None:
    lines = (ROOT / entry).read_text().splitlines()
    ours = [
        line
        for line in lines
        if line.startswith(("import ", "from "))
        and line.split()[1].split(".")[0] in ("app", "models", "torch")
    ]
    assert ours[0].startswith("import models.openmp")


def test_the_table_compares_each_policy_with_the_default() -> None:
    seconds = {policy: [2.0, 1.0, 1.0] for policy in POLICIES} | {"default": [4.0, 3.0, 2.0]}
    lines = table({"busy": seconds}).splitlines()
    assert len(lines) == 1 + len(POLICIES)
    assert any(line.startswith("passive") and line.endswith("3.00×") for line in lines)
