"""lmms-eval itself over a local task: `make eval-test` makes the environment that these need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.measure import asking
from app.measure.evaluation import answerer as module
from app.settings import EXAMPLES, ROOT
from models.engine.pipeline import run_lane
from models.uploads.read import read_image
from pruning.methods import create
from tests.tiny import tiny_llava

reason = "lmms-eval is not installed; run `make eval-test`"
pytest.importorskip("lmms_eval", reason=reason)

from lmms_eval.api.instance import Instance  # noqa: E402
from lmms_eval.evaluator import simple_evaluate  # noqa: E402
from lmms_eval.tasks import TaskManager  # noqa: E402
from lmms_eval.utils import load_yaml_config  # noqa: E402

from app.measure.evaluation.lmms import NAME, TokenScope, register  # noqa: E402

TASKS = ROOT / "tests" / "eval" / "tasks"
GUIDE = ROOT / "docs" / "eval.md"


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A tiny random model in place of the catalogue's."""
    monkeypatch.setattr(module, "load", lambda *named: tiny_llava())
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path))
    register()


def evaluated(arguments: str, task: str = "drawn_scenes", **options) -> dict:
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    return simple_evaluate(
        model=NAME, model_args=arguments, tasks=[task], task_manager=manager, **options
    )


def test_a_task_runs_on_a_random_model_and_its_answers_are_those_of_the_pipeline(tiny):
    results = evaluated("method=grid,retention=0.25", limit=5)
    (task,) = results["samples"].values()
    samples = sorted(task, key=lambda sample: sample["doc_id"])
    assert len(samples) == 5
    for sample in samples:
        media = read_image(EXAMPLES / sample["doc"]["file"])
        method = create("grid", retention_ratio=0.25)
        question = sample["doc"]["question"]
        *_, lane = run_lane(tiny_llava(), media, question, method, max_new_tokens=32)
        (answer,) = sample["filtered_resps"]
        assert answer == lane.answer.strip().partition("\n")[0].strip()
    assert results["throughput"]["avg_retention_ratio"] == pytest.approx(0.25)
    assert results["results"]["drawn_scenes"]["acc@0.5,none"] == 0.0


def test_answers_are_kept_by_lmms_evals_own_cache_apart_by_method(tiny, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(
        asking, "run_lane", lambda *lane, **limits: ran.append(1) or run_lane(*lane)
    )
    kept = {"use_cache": str(tmp_path / "kept"), "limit": 2}
    evaluated("method=grid,retention=0.25", **kept)
    evaluated("method=grid,retention=0.25", **kept)
    assert len(ran) == 2, "the second time all answers were kept"
    evaluated("method=grid,retention=0.5", **kept)
    assert len(ran) == 4


def test_a_task_without_generated_answers_is_refused(tiny):
    model = TokenScope(method="grid")
    asked = [Instance("loglikelihood", (), 0, {"task": "a", "doc_id": 0, "repeats": 1})]
    for refuse in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(ValueError, match="choose a task of generate_until"):
            refuse(asked)
    with pytest.raises(ValueError, match="batch size is 8, wanted 1"):
        TokenScope(batch_size="8")


@pytest.mark.checkpoint
@pytest.mark.parametrize(
    ("task", "model"), [("drawn_scenes", "embedded-image"), ("drawn_clips", "embedded-video")]
)
def test_the_command_prints_what_the_embedded_model_answers(task, model, tmp_path):
    """More right answers to the first twelve questions than a guess would have."""
    arguments = ["--model", NAME, "--model_args", f"model={model}", "--tasks", task]
    folders = ["--include_path", str(TASKS), "--output_path", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "app.measure.evaluation", *arguments, *folders, "--limit", "12"],
        cwd=ROOT,
        env={**os.environ, "LMMS_EVAL_DATASETS_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"|{task}" in run.stdout and "measured retention ratio 100.00%" in run.stdout
    (written,) = Path(tmp_path).rglob("*results.json")
    rates = json.loads(written.read_text())["results"][task]
    assert rates["acc@0.5,none"] > 0.6 and rates["exact,none"] > 0.6


def commands() -> list[str]:
    """The tasks of every command in the guide."""
    return re.findall(r"--tasks (\S+)", GUIDE.read_text())


def test_lmms_eval_has_every_task_of_the_guide_with_generated_answers():
    manager = TaskManager(include_path=str(TASKS))
    named = [name for line in commands() for name in line.split(",")]
    assert named
    for name in named:
        found = manager._task_index[name]
        config = load_yaml_config(found["yaml_path"], mode="simple")
        assert config["output_type"] == "generate_until", name
