"""Drawn clips and scenes put to a tiny model: what is asked, what is counted, what is printed."""

import re

import numpy as np
import pytest

from app.__main__ import main
from app.jobs import lanes_at
from app.measure import bench
from app.measure.bench import Outcome
from app.settings import Settings
from models.embedded.world.questions import Question
from pruning.budget import Averages
from pruning.methods import METHODS, create
from tests.tiny import tiny_onevision


def outcome(**changes):
    values = {"sort": "last", "overlap": None, "exact": True}
    values |= {"ratio": 0.25, "averages": Averages(36, 30, 24), "ttft": 0.1, "total": 0.2}
    return Outcome(**{**values, **changes})


def test_every_clip_is_asked_for_a_box_and_for_something_else():
    cases = list(bench._clips(5, seed=0))
    boxed = [question.box is not None for _, question in cases]
    assert boxed.count(True) == boxed.count(False) == 5
    assert len({question.sort for _, question in cases}) == 6, "all five others, and the box"
    for media, _ in cases:
        assert media.kind == "video" and media.frames.shape == (8, 96, 96, 3)
        assert np.all(np.diff(media.times) > 0)


def test_every_method_of_clips_answers_or_says_the_smallest_ratio(monkeypatch):
    monkeypatch.setattr(bench, "_adapter", tiny_onevision(), raising=False)
    names = bench.METHODS["clips"].split(",")
    lanes = list(lanes_at(names, [0.5, 0.011], "llava-onevision"))
    case = next(bench._clips(1, seed=0))
    answered = bench._ask(case, [method for _, method in lanes])
    rows = [
        bench._row(name, method, [told])
        for (name, method), told in zip(lanes, answered, strict=True)
    ]
    assert {row.method for row in rows if row.retention_ratio == 0.5 and row.grounding == 0} == {
        *names[1:]
    }
    refused = [row for row in rows if row.refused]
    for row in refused:
        (said,) = re.findall(r"smallest retention ratio here is ([\d.]+) %", row.refused)
        assert float(said) == pytest.approx(100 * row.smallest, abs=0.1)
    assert refused
    least = [create(row.method, retention_ratio=row.smallest) for row in refused]
    assert all(isinstance(told, Outcome) for told in bench._ask(case, least))


def test_a_row_has_the_mean_of_each_way_of_counting():
    told = [outcome(), outcome(averages=Averages(38, 30, 20))]
    row = bench._row("sparsevlm", create("sparsevlm"), told)
    assert row.averages == {"processed": 37, "cached": 30, "handed_on": 22}


def test_rates_are_taken_over_the_questions_that_they_are_about():
    told = [
        outcome(overlap=0.6, exact=None),
        outcome(overlap=0.4, exact=None),
        outcome(),
        outcome(exact=False),
        outcome(sort="first", total=0.9),
    ]
    row = bench._row("ttm", create("ttm", retention_ratio=0.25), told)
    assert (row.grounding, row.mean_iou) == (0.5, pytest.approx(0.5))
    assert row.other == pytest.approx(2 / 3) and row.sorts == {"first": 1.0, "last": 0.5}
    assert (row.ttft_ms, row.total_ms) == (pytest.approx(100), pytest.approx(200))


def test_a_right_answer_is_the_true_one_to_the_letter_and_a_box_is_measured(monkeypatch):
    class Lane:
        answer, boxes = " left ", np.array([[0.0, 0.0, 0.5, 1.0]])
        trace = type("Trace", (), {"average": 0.5})
        averages = Averages(72, 72, 72)
        timeline = type("Timeline", (), {"ttft": 0.1, "total": 0.2})

    assert bench._outcome(Question("Which way?", "motion", "left"), Lane).exact is True
    assert bench._outcome(Question("Which way?", "motion", "right"), Lane).exact is False
    boxed = bench._outcome(Question("Where?", "end", "", (0.0, 0.0, 1.0, 1.0)), Lane)
    assert boxed.exact is None and boxed.overlap == pytest.approx(0.5)


def test_the_table_has_a_line_a_row_and_a_refusal_in_words():
    rows = [
        bench.asdict(bench._row("ttm", create("ttm", retention_ratio=0.25), [outcome()])),
        bench.asdict(bench.Row("fastv", 0.05, refused="too low")),
    ]
    heads, ran, refused = bench.table({"rows": rows}).splitlines()
    assert heads.split()[:6] == ["method", "asked", "run", "Acc@0.5", "mIoU", "exact"]
    assert ran.split()[:6] == ["ttm", "25.0%", "25.0%", "–", "–", "1.000"]
    assert refused.endswith("refused: too low")


def test_a_split_is_what_is_drawn_and_a_split_that_is_none_is_refused():
    for draw in (bench._scenes, bench._clips):
        (plain, _), (crowd, question) = (
            next(draw(1, 0, bench.find_split(name))) for name in ("plain", "crowd")
        )
        assert crowd.frames.shape == plain.frames.shape
        assert not np.array_equal(crowd.frames, plain.frames)
        assert question.box is not None
    with pytest.raises(ValueError, match="no split 'harder'"):
        bench.bench("embedded-image", 1, 0, [], [], "published", Settings(), split="harder")


@pytest.mark.parametrize(
    ("model", "unit"), [("embedded-image", "scenes"), ("embedded-video", "clips")]
)
def test_a_model_is_asked_about_what_it_takes(model, unit):
    assert bench.drawn_as(model) == unit


@pytest.mark.parametrize("model", ["embedded-image", "embedded-video"])
def test_all_is_every_method_that_takes_the_media_with_its_presets(model):
    names, (kind,) = list(bench.every_method(model)), bench.find(model).media
    assert {name.partition(":")[0] for name in names} == {
        method.name for method in METHODS if kind in method.media
    }
    made = [create(name) for name in names]
    assert [method.typed for method in made] == names, "each once, by what a person types"


def test_all_leaves_out_presets_that_are_named_after_a_family_of_models():
    clips = [name for name in bench.every_method("embedded-video") if name.startswith("flashvid")]
    assert clips == ["flashvid", "flashvid:official"]
    assert {"nuwa:paper", "fastv:fix"} <= {*bench.every_method("embedded-image")}


def test_all_is_what_the_command_passes_on(monkeypatch, capsys):
    came = []
    monkeypatch.setattr(bench, "bench", lambda *asked: came.append(asked) or {"rows": []})
    monkeypatch.setattr(bench, "table", lambda report: "")
    assert main(["bench", "--methods", "all"]) == main(["bench"]) == 0
    capsys.readouterr()
    assert came[0][3] == list(bench.every_method("embedded-image"))
    assert came[1][3] == bench.METHODS["scenes"].split(",")
