"""The one command for a machine with a GPU, run on a CPU: its steps, its report, its pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from app.docs import gpu_page
from app.measure.gpu import __main__ as command
from app.measure.gpu.checks import compared, differences, methods_for
from app.measure.gpu.report import Report
from pruning.methods import create
from pruning.token_map import TokenMap
from tests.tiny import picture, tiny_llava

ROOT = Path(__file__).resolve().parents[2]
CHEAP = ["ceilings", "compression"]
BLOCKED = ("gradio", "pydantic", "altair", "decord", "av", "prometheus_client", "supervision")
BLOCKER = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None
import app.measure.gpu.__main__ as command
steps = ["ceilings", "training", "llava-1.5-7b"]
status = command.main(["--tiny", "--out", sys.argv[1], "--steps", *steps])
assert "app.request" not in sys.modules
sys.exit(status)
"""


def test_the_tiny_run_writes_its_report_step_by_step(tmp_path, capsys) -> None:
    path = tmp_path / "deep" / "report.json"
    assert command.main(["--tiny", "--out", str(path), "--steps", *CHEAP]) == 0
    report = json.loads(path.read_text())
    assert list(report["steps"]) == CHEAP
    assert report["conditions"]["device"] == "CPU"
    assert report["steps"]["ceilings"]["copy_gb_s"] > 0
    for size in report["steps"]["compression"]["sizes"].values():
        assert all(row.get("ms", 0) > 0 for row in size["rows"] if "refused" not in row)
        timed = [row["method"] for row in size["rows"] if "ms" in row]
        assert {"visionzip", "holov"} <= set(timed)
    assert f"written to {path}" in capsys.readouterr().out


@pytest.mark.slow
def test_nothing_but_torch_transformers_numpy_and_pillow_is_needed(tmp_path) -> None:
    path = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER, str(path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    steps = json.loads(path.read_text())["steps"]
    assert steps["llava-1.5-7b"]["rows"][0]["method"] == "vanilla"
    assert all(row["step_ms"] > 0 for row in steps["training"]["rows"])


def test_a_step_that_fails_costs_no_other_and_is_told(tmp_path) -> None:
    report = Report("cpu", tmp_path / "report.json", limit=60)
    report.run("broken", lambda: 1 / 0)
    report.run("whole", lambda: {"value": 1})
    written = json.loads(report.path.read_text())["steps"]
    assert "division by zero" in written["broken"]["failed"]
    assert written["whole"]["value"] == 1
    assert report.failed == ["broken"]


def test_no_step_begins_when_the_time_is_over(tmp_path) -> None:
    report = Report("cpu", tmp_path / "report.json", limit=0)
    report.run("late", lambda: pytest.fail("it ran"))
    assert "No time was left" in report.steps["late"]["failed"]


@pytest.mark.parametrize("method", methods_for("image"), ids=lambda method: method.name)
def test_every_method_is_compared_on_the_very_signals_of_a_lane(method) -> None:
    told = compared(tiny_llava(), picture(), method, "cpu")
    assert told["equal"]
    assert "refused" in told or told["maps"] >= 1


def test_maps_that_differ_are_told_apart() -> None:
    one, other = (TokenMap.select(torch.tensor(rows), 4) for rows in ([0, 1], [0, 2]))
    assert differences(one, one) == (0, 0.0)
    assert differences(one, other) == (2, 1.0)
    assert differences(one, TokenMap.identity(4))[0] == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu_one_sentence_says_so(capsys) -> None:
    assert command.main([]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_the_report_lies_in_out_where_that_is_set(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    assert command.default_path("cpu") == tmp_path / "tiny.json"


def test_without_a_report_the_page_says_that_nothing_ran_on_a_gpu(tmp_path) -> None:
    assert "not been run on a GPU yet" in gpu_page.section(tmp_path)


def test_the_page_has_a_table_of_each_step_and_tells_what_failed(tmp_path) -> None:
    report = Report("cpu", tmp_path / "card.json", limit=60)
    report.run("ceilings", lambda: {"copy_gb_s": 3000.0, "bf16_tflop_s": 800.0})
    rows = [{"method": "nuwa", "tokens": 64, "ms": 1.5}, {"method": "ttm", "refused": "no grid"}]
    report.run("compression", lambda: {"dtype": "bf16", "sizes": {"576": {"rows": rows}}})
    lane = {"method": "vanilla", "visual_tokens": 576, "prefill": 20.0, "token_ms": 9.0}
    report.run("llava-1.5-7b", lambda: {"rows": [lane], "generate": {"token_ms": 12.0}})
    report.run("training", lambda: 1 / 0)
    page = gpu_page.section(tmp_path)
    assert "| copy, GB/s | 3,000 |" in page
    assert "| nuwa | 64 | 1.5 |" in page
    assert "no grid" in page
    assert "| vanilla | 576 |" in page
    assert "division by zero" in page


def test_the_method_that_is_compared_first_is_vanilla() -> None:
    assert next(iter(methods_for("video"))) == create("vanilla")
