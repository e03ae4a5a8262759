"""OpenMP's threads sleep while they wait, in whatever process runs lanes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.measure.openmp import POLICIES, seconds_of, started, table
from models.openmp import POLICY

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ["app/__main__.py", "main.py", "app/measure/gpu/__main__.py"]
ASK = (
    "import {module}, os, sys; "
    "print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
)


def answered(module: str, **environment: str) -> list[str]:
    """The policy, and whether torch is there, once a module is imported."""
    outer = {name: value for name, value in os.environ.items() if name not in POLICY}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(module=module)],
        cwd=ROOT,
        env={**outer, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.split()


def test_the_policy_is_set_before_torch_is_imported() -> None:
    assert answered("app.__main__") == ["passive", "1000", "False"]


def test_a_policy_that_is_set_stays() -> None:
    assert answered("models.openmp", OMP_WAIT_POLICY="active") == ["active", "None", "False"]


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


def test_the_policy_of_the_project_is_measured() -> None:
    assert POLICIES["both, as set here"] == POLICY


def test_the_table_shows_all_loads_of_a_policy_side_by_side() -> None:
    idle = {policy: [1.0, 1.0, 1.0] for policy in POLICIES}
    busy = {policy: [2.0, 1.0, 1.0] for policy in POLICIES} | {"default": [4.0, 3.0, 2.0]}
    lines = table({"as it is": idle, "busy": busy}).splitlines()
    passive = next(line for line in lines if line.startswith("passive"))
    assert passive.split() == ["passive", "1.00", "1.00", "1.00×", "1.00", "2.00", "3.00×"]
    assert lines[-1] == "Rounds: 3 as it is, 3 busy."


@pytest.mark.slow
def test_a_policy_has_one_process_that_answers_each_request() -> None:
    with started("one thread") as process:
        assert seconds_of(process) > 0
        assert seconds_of(process) > 0
    assert process.returncode is not None
