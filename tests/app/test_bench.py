"""bench on a tiny model: questions, rates, refusals and the table."""

import re
from dataclasses import replace

import numpy as np
import pytest

from app.__main__ import main
from app.docs.answers import answers
from app.drawn import draw_questions, truth_of
from app.jobs import lanes_at
from app.measure import bench, foil
from app.measure.asking import Answer, Case, Refusal, ask
from app.settings import Settings
from models.embedded.world.clips import FRAMES, PIXELS
from models.embedded.world.hard import find_split
from pruning.methods import METHODS, create
from tests.tiny import tiny_onevision


def answer(**changes):
    values = {"text": "", "sort": "last", "overlap": None, "exact": True, "ratio": 0.25}
    averages = {"processed": 36, "cached": 30, "handed_on": 24}
    return Answer(**{**values, "averages": averages, **changes})


def test_every_clip_is_asked_for_a_box_and_for_something_else():
    cases = list(draw_questions("video", 5))
    boxed = [question.box is not None for _, question, _ in cases]
    assert boxed.count(True) == boxed.count(False) == 5
    assert len({question.sort for _, question, _ in cases}) > 4, "the box, and others in turn"
    for media, _, _ in cases:
        assert media.kind == "video" and media.frames.shape == (FRAMES, PIXELS, PIXELS, 3)
        assert np.all(np.diff(media.times) > 0)


def test_every_method_of_clips_answers_or_says_the_smallest_ratio():
    lanes = list(lanes_at(bench.METHODS["clips"].split(","), [0.5, 0.011], "llava-onevision"))
    media, question, _ = next(draw_questions("video", 1))
    media = replace(media, frames=media.frames[::2], times=media.times[::2])

    def answers(methods):
        case = Case("", media, question.text, tuple(methods), 32, truth=truth_of(question))
        return ask(tiny_onevision(), case)

    given = answers(method for _, method in lanes)
    rows = [bench.summarize(*lane, [one]) for lane, one in zip(lanes, given, strict=True)]
    half = {row.method for row in rows if row.retention_ratio == 0.5 and row.grounding == 0}
    assert half == {name for name, _ in lanes} - {"vanilla"}
    refused = [row for row in rows if row.refused]
    for row in refused:
        (smallest,) = re.findall(r"smallest retention ratio here is ([\d.]+) %", row.refused)
        assert float(smallest) == pytest.approx(100 * row.smallest, abs=0.1)
    assert refused
    least = answers(create(row.method, retention_ratio=row.smallest) for row in refused)
    assert all(isinstance(one, Answer) for one in least)


def test_a_row_has_the_mean_of_each_way_of_counting():
    other = {"processed": 38, "cached": 30, "handed_on": 20}
    answers = [answer(), answer(averages=other)]
    row = bench.summarize("sparsevlm", create("sparsevlm"), answers)
    assert row.averages == {"processed": 37, "cached": 30, "handed_on": 22}


def test_rates_are_taken_over_the_questions_that_they_are_about():
    answers = [
        answer(overlap=0.6, exact=None),
        answer(overlap=0.4, exact=None),
        answer(),
        answer(exact=False),
        answer(sort="first"),
    ]
    row = bench.summarize("ttm", create("ttm", retention_ratio=0.25), answers)
    assert (row.grounding, row.mean_iou) == (0.5, pytest.approx(0.5))
    assert row.other == pytest.approx(2 / 3) and row.sorts == {"first": 1.0, "last": 0.5}


def test_one_refusal_refuses_the_lane():
    refusal = Refusal("too low", 0.3)
    row = bench.summarize("ttm", create("ttm"), [answer(), refusal])
    assert (row.refused, row.smallest, row.measured_ratio) == ("too low", 0.3, None)


def test_the_table_has_a_line_for_each_row_and_the_reason_of_a_refusal():
    rows = [
        bench.asdict(bench.summarize("ttm", create("ttm", retention_ratio=0.25), [answer()])),
        bench.asdict(bench.Row("fastv", 0.05, refused="too low")),
    ]
    heads, ran, refused = bench.table({"rows": rows}).splitlines()
    assert heads.split()[:6] == ["method", "asked", "run", "Acc@0.5", "mIoU", "exact"]
    assert ran.split()[:6] == ["ttm", "25.0%", "25.0%", "–", "–", "1.000"]
    assert refused.endswith("refused: too low")


def test_a_split_is_what_is_drawn_and_a_split_that_is_none_is_refused():
    for kind in ("image", "video"):
        (plain, *_), (crowd, question, _) = (
            next(draw_questions(kind, 1, 0, find_split(name))) for name in ("plain", "crowd")
        )
        assert crowd.frames.shape == plain.frames.shape
        assert not np.array_equal(crowd.frames, plain.frames)
        assert question.box is not None
    with pytest.raises(ValueError, match="no split 'harder'"):
        bench.bench("embedded-image", 1, 0, [], [], "published", Settings(), split="harder")


def test_a_method_of_clips_alone_is_refused_for_scenes_before_anything_runs():
    with pytest.raises(ValueError, match="FlashVID takes a clip, and a picture came"):
        bench.bench("embedded-image", 1, 0, ["flashvid"], [0.5], "published", Settings())


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


def columns():
    """Vanilla, down-sampling and TTM at a quarter, on two questions for boxes and two others."""
    rights = {"vanilla": "1111", "downsample": "1001", "ttm": "1101", "frames": "0000"}
    lanes = [
        ("vanilla", create("vanilla")),
        *((name, create(name, retention_ratio=0.25)) for name in ("downsample", "ttm", "frames")),
    ]
    answers = [
        [
            answer(sort="grounding", overlap=float(right), exact=None)
            if number < 2
            else answer(exact=right == "1")
            for number, right in enumerate(rights[name])
        ]
        for name, _ in lanes
    ]
    answers[-1][0] = Refusal("too low", 0.3)
    return lanes, answers


def test_each_method_is_compared_with_down_sampling_on_the_same_questions():
    pairs = foil.pairs(*columns())
    assert {pair["method"] for pair in pairs} == {"ttm"}, "vanilla has no ratio, frames refused"
    by_sort = {pair["sort"]: foil.Pair(**pair) for pair in pairs}
    assert list(by_sort) == ["grounding", "last", "all"]
    boxes, together = by_sort["grounding"], by_sort["all"]
    assert (boxes.questions, boxes.method_alone, boxes.foil_alone) == (2, 1, 0)
    assert (boxes.points, boxes.hard_right) == (50, 1.0)
    assert (together.questions, together.points, together.hard_right) == (4, 25, 0.5)
    assert boxes.p == together.p == 1.0


def test_the_table_against_down_sampling_marks_what_is_significant():
    right, wrong = answer(), answer(exact=False)
    lanes = [(name, create(name, retention_ratio=0.25)) for name in ("downsample", "ttm", "grid")]
    pairs = foil.pairs(lanes, [[wrong] * 20, [right] * 20, [wrong] * 20])
    *_, head, ttm, grid = foil.table({"against_downsampling": pairs}).splitlines()
    assert head.split() == ["last", "all", "of", "the", "hard"]
    assert ttm.split() == ["ttm", "+100.0", "*", "+100.0", "*", "1.00"]
    assert grid.split() == ["grid", "+0.0", "+0.0", "0.00"]
    assert foil.table({}) == ""


def test_a_method_that_needs_a_gaze_is_refused_in_one_sentence_in_bench_and_docs():
    refusal = bench.refusal_of(create("gazevlm"))
    assert refusal.reason.startswith("GazeVLM needs to know where a person looks")
    assert bench.refusal_of(create("nuwa")) is None
    row = bench.asdict(bench.summarize("gazevlm", create("gazevlm"), (refusal,)))
    vanilla = bench.summarize("vanilla", create("vanilla"), [answer(), answer(overlap=0.9)])
    questions = {"grounding": 1, "other": 1, "sorts": {}}
    about = {"scenes": 1, "model": "embedded-image", "split": "plain", "seed": 0, "conditions": {}}
    rows = [bench.asdict(vanilla), row]
    page = answers(about | {"questions": questions, "rows": rows})
    assert "| `gazevlm` | refused |" in page and page.endswith(refusal.reason)
