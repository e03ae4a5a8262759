"""The analysis on the command line and from Python, with a tiny model."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.__main__ import main
from app.measure import analysis_time
from app.notebook import Model
from app.render.measures import MEASURES
from app.settings import Settings
from app.worker import local
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models.analysis.study import Study
from pruning.methods import create
from tests.tiny import clip, tiny_llava, tiny_onevision

MODEL = Settings.model


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(local, "load", lambda name, device, dtype: tiny_llava())


@pytest.fixture
def grey(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
    return str(path)


@pytest.mark.slow
def test_analyse_prints_tables_and_writes_every_curve(tiny, grey, tmp_path, capsys):
    out = tmp_path / "analysis"
    asked = ["analyse", grey, "Where?", "--methods", "pooling", "--retention", "0.33"]
    options = ["--max-new-tokens", "3", "--box", "0.2,0.2,0.8,0.8", "--block", "--out", str(out)]
    assert main([*asked, *options, "--measures", ",".join(MEASURES)]) == 0
    printed = capsys.readouterr().out
    assert all(measure.title in printed for measure in MEASURES.values())
    assert printed.count("last → visual") == 2 * 4, "two lanes, four quarters of the layers"
    assert "Analysis: Vanilla " in printed and "s of the lane" in printed
    rows = list(csv.DictReader((out / "curves.csv").open()))
    flow = [row for row in rows if row["measure"] == "answer_flow" and row["lane"] == "Vanilla"]
    arrays = np.load(out / "lane0.npz")
    assert [float(row["value"]) for row in flow] == pytest.approx(arrays["answer_flow"], rel=1e-4)
    assert {"cohesion.svg", "encoder_cohesion.png"} <= {path.name for path in out.iterdir()}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--box", "0.5,0.2,0.1,0.9"], "left < right"),
        (["--measures", "flow"], "Measures are"),
        (["--edges", "last-object"], "Add --block"),
        (["--block", "--edges", "visual-text"], "Edges are visual-visual, text-visual,"),
    ],
)
def test_a_bad_request_of_an_analysis_is_one_sentence(grey, wrong, sentence, capsys):
    assert main(["analyse", grey, "Where?", *wrong]) == 2
    assert sentence in capsys.readouterr().err


def test_an_analysis_from_python_has_the_asked_cells(tiny, grey):
    model = Model(MODEL, LocalWorker(Settings()))
    blocked = [("text", (0, 4))]
    lanes = model.analyse(grey, "Where?", ["random"], blocked=blocked, max_new_tokens=2)
    (cell,) = lanes["random"].analysis.blocked
    assert cell.cell[:2] == ("text", (0, 4)) and cell.probability_ratio > 0
    assert np.isnan(lanes["vanilla"].analysis.curves["cohesion"]).all(), "no object is known"
    assert model.compare(grey, "Where?", ["random"], max_new_tokens=2)["random"].analysis is None


def test_vanilla_is_timed_with_analysis_off_before_an_analysis_and_beside_generate(monkeypatch):
    monkeypatch.setattr(analysis_time, "load", lambda name, device, dtype: tiny_llava())
    job = replace(analysis_time.example_job(MODEL, Settings()), max_new_tokens=2)
    monkeypatch.setattr(analysis_time, "example_job", lambda *_: job)
    report = analysis_time.analysis_time(MODEL, 1, Settings())
    assert set(report["seconds"]) == {"off", "on", "analysis", "generate"}
    assert min(report["seconds"].values()) > 0
    seconds, ratio = report["seconds"], report["off_over"]["on"]["median"]
    assert ratio == pytest.approx(seconds["off"] / seconds["on"])
    assert "over stock generate" in analysis_time.table(report)


def test_a_lane_that_cannot_be_analysed_says_so_in_its_own_column():
    methods = create("vanilla"), create("dycoke")
    job = Job(MODEL, clip(), "What?", methods, max_new_tokens=2, study=Study())
    *_, last = LocalWorker(Settings(), tiny_onevision()).run(job)
    vanilla, refused = last.comparison.lanes
    assert vanilla.analysis is not None
    assert refused.reason.endswith("which an analysis cannot repeat: choose another method.")
