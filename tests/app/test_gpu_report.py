"""The one command for a machine with a GPU, run on a CPU: its steps, its report, its pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from app.docs import gpu_page
from app.measure.gpu import __main__ as command
from app.measure.gpu.checks import compare, differences, methods_for
from app.measure.gpu.launches import PHASES
from app.measure.gpu.report import Report, guarded
from pruning.methods import create
from pruning.token_map import TokenMap
from tests.tiny import picture, tiny_llava

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = ("gradio", "pydantic", "altair", "decord", "av", "prometheus_client", "supervision")
BLOCKER = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None
import app.measure.gpu.__main__ as command
for step in ("compression", "training", "llava-1.5-7b"):
    command.main(["--tiny", "--step", step, "--limit", "60"])
assert "app.request" not in sys.modules
"""


def printing(outcome: object) -> Callable[[float], list[str]]:
    """The command of a step that prints an outcome."""
    return lambda seconds: [sys.executable, "-c", f"print({json.dumps(json.dumps(outcome))})"]


@pytest.mark.slow
def test_the_tiny_run_writes_its_report(tmp_path, capsys) -> None:
    path = tmp_path / "deep" / "report.json"
    assert command.main(["--tiny", "--out", str(path), "--steps", "ceilings"]) == 0
    report = json.loads(path.read_text())
    assert report["conditions"]["device"] == "CPU"
    assert report["steps"]["ceilings"]["copy_gb_s"] > 0
    assert f"written to {path}" in capsys.readouterr().out


@pytest.mark.slow
def test_steps_need_nothing_but_torch_transformers_numpy_and_pillow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    compression, training, lanes = map(json.loads, done.stdout.splitlines())
    for size in compression["sizes"].values():
        timed = {row["method"] for row in size["rows"] if row.get("ms", 0) > 0}
        assert timed >= {"visionzip", "holov"}
    assert all(row["step_ms"] > 0 for row in training["rows"])
    assert lanes["rows"][0]["method"] == "vanilla"
    assert lanes["generate"]["ttft_ms"] > 0


def test_a_step_that_fails_costs_no_other_step(tmp_path) -> None:
    report = Report("cpu", tmp_path / "report.json", limit=60)
    report.run("crashes", lambda seconds: [sys.executable, "-c", "raise SystemExit(3)"], 60)
    report.run("hangs", lambda seconds: [sys.executable, "-c", "import time; time.sleep(9)"], 0.2)
    report.run("works", printing({"value": 1}), 60)
    steps = json.loads(report.path.read_text())["steps"]
    assert steps["crashes"]["failed"] == "The process printed no result and ended with 3."
    assert "Stopped after" in steps["hangs"]["failed"]
    assert steps["works"]["value"] == 1
    assert report.failed == ["crashes", "hangs"]


def test_an_error_in_a_step_is_its_result() -> None:
    assert guarded(lambda: 1 / 0) == {"failed": "ZeroDivisionError: division by zero"}


def test_no_step_begins_when_the_time_is_over(tmp_path) -> None:
    report = Report("cpu", tmp_path / "report.json", limit=0)
    report.run("late", lambda seconds: pytest.fail("it ran"), 60)
    assert "No time was left" in report.steps["late"]["failed"]


@pytest.mark.parametrize("method", methods_for("image"), ids=lambda method: method.name)
def test_every_method_is_compared_on_the_signals_of_a_lane(method) -> None:
    result = compare(tiny_llava(), picture(), method, "cpu")
    assert "refused" in result or (result["equal"] and result["maps"] >= 1)


def test_differences_of_maps_are_counted() -> None:
    one, other = (TokenMap.select(torch.tensor(rows), 4) for rows in ([0, 1], [0, 2]))
    assert differences(one, one) == (0, 0.0)
    assert differences(one, other) == (2, 1.0)
    assert differences(one, TokenMap.identity(4))[0] == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_machine_without_a_gpu_is_refused(capsys) -> None:
    assert command.main([]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_the_report_is_written_to_out_if_it_is_set(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    assert command.default_path("cpu") == tmp_path / "tiny.json"


def test_a_page_without_reports_has_no_figures(tmp_path) -> None:
    assert "not been run on a GPU yet" in gpu_page.section(tmp_path)


def test_the_page_has_a_table_or_the_failure_of_each_step(tmp_path) -> None:
    report = Report("cpu", tmp_path / "card.json", limit=60)
    rows = [{"method": "nuwa", "tokens": 64, "ms": 1.5}, {"method": "ttm", "refused": "no grid"}]
    lane = {"method": "vanilla", "visual_tokens": 576, "prefill_ms": 20.0, "refused": ""}
    counts = {phase: 7 for phase in PHASES}
    launches = {"methods": [{"method": "vanilla", "launches": counts, "syncs": counts}]}
    same = [{"method": "nuwa", "equal": True}, {"method": "ttm", "refused": "few"}]
    outcomes = {
        "ceilings": {"copy_gb_s": 3000.0, "bf16_tflop_s": 800.0},
        "same": {"rows": same},
        "compression": {"dtype": "bf16", "sizes": {"576": {"rows": rows}}},
        "llava-1.5-7b": {"rows": [lane], "generate": {"token_ms": 12.0}, "launches": launches},
        "training": {"failed": "out of memory"},
    }
    for name, outcome in outcomes.items():
        report.run(name, printing(outcome), 60)
    page = gpu_page.section(tmp_path)
    for part in ("| copy, GB/s | 3,000 |", "| nuwa | 64 | 1.5 |", "no grid", "| vanilla | 576 |"):
        assert part in page
    assert "1 of 1 are equal and repeat themselves; 1 do not run" in page
    assert "| vanilla | 7 / 7 |" in page
    assert "**training** failed: out of memory" in page


def test_vanilla_is_compared_first() -> None:
    assert next(iter(methods_for("video"))) == create("vanilla")
