"""Requests of a benchmark to tiny models, without lmms-eval."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from app.measure.evaluation import __main__ as command
from app.measure.evaluation import answerer as module
from app.measure.evaluation.answerer import Answerer, Decoding, Request, answerer, read_visual
from app.settings import EXAMPLES
from models.engine.pipeline import run_lane
from models.families.llava import LlavaAdapter
from models.uploads.media import drawn
from pruning.methods import create
from tests.tiny import picture, tiny_llava, tiny_onevision

GRID = create("grid", retention_ratio=0.25)


def shown(seed: int = 0) -> Image.Image:
    return Image.fromarray(picture(seed=seed).frames[0])


def request(text: str = "What is this?", **changes) -> Request:
    values = {"place": "gqa, testdev 0", "text": text, "visuals": lambda: [shown()]}
    return Request(**{**values, "options": {"max_new_tokens": 4}, **changes})


def unseen() -> list:
    raise AssertionError("this picture was not to be loaded")


def test_answers_are_those_of_the_pipeline_in_the_order_of_the_questions():
    questions = [
        request(
            "Where?", visuals=lambda seed=seed: [shown(seed)], options={"max_new_tokens": count}
        )
        for seed, count in enumerate((5, 3, 7))
    ]
    answers = list(Answerer(tiny_llava(), GRID, 1).answer(questions))
    for seed, (answer, count) in enumerate(zip(answers, (5, 3, 7), strict=True)):
        media = drawn(np.asarray(shown(seed)))
        *_, lane = run_lane(tiny_llava(), media, "Where?", GRID, max_new_tokens=count)
        assert (answer.text, answer.new_tokens) == (lane.answer.strip(), lane.new_tokens)
        assert answer.ratio == lane.trace.average == pytest.approx(0.25)


def test_a_clip_is_read_from_its_path_with_as_many_frames_as_were_asked_for():
    path = str(EXAMPLES / "clip-1.mp4")
    assert read_visual([path], 4).frames.shape[0] == 4
    (answer,) = Answerer(tiny_onevision(), GRID, 4).answer([request(visuals=lambda: [path])])
    assert answer.new_tokens and answer.ratio == pytest.approx(0.25)


def test_a_picture_of_any_mode_is_seen_in_colours():
    media = read_visual([shown().convert("L")], 1)
    assert media.kind == "image" and media.frames.shape == (1, 60, 90, 3)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("<image>\nIs it red?", "Is it red?"),
        ("Is it red?\n<video>", "Is it red?"),
        ("<image> <image>\nRed or [blue]?", "Red or [blue]?"),
    ],
)
def test_placeholders_are_left_out_of_the_question(text, question):
    case, decoding = Answerer(tiny_llava(), GRID, 1)._case(request(text))
    assert (case.question, decoding) == (question, Decoding(max_new_tokens=4))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"text": "why " * 501}, "gqa, test 3: The question has 2,003 characters"),
        ({"text": "<image>\n"}, "gqa, test 3: The question is empty"),
        ({"options": {"num_beams": 5}}, "gqa, test 3: num_beams is 5, wanted 1"),
    ],
)
def test_a_wrong_question_is_refused_with_its_place_before_anything_runs(wrong, sentence):
    late = request(**{"place": "gqa, test 3", **wrong})
    with pytest.raises(ValueError, match=sentence):
        next(Answerer(tiny_llava(), GRID, 1).answer([request(visuals=unseen), late]))


@pytest.mark.parametrize(
    ("visuals", "sentence"),
    [
        ([], "0 pictures or clips came with the question, wanted 1"),
        ([shown(), shown()], "2 pictures or clips came"),
        ([{"array": []}], "A dict came, wanted a picture or the path of a clip"),
        (["nowhere.mp4"], "no file nowhere.mp4"),
    ],
)
def test_what_is_not_one_picture_or_clip_is_refused_in_a_sentence(visuals, sentence):
    with pytest.raises(ValueError, match=f"testdev 0: .*{sentence}"):
        list(Answerer(tiny_llava(), GRID, 1).answer([request(visuals=lambda: visuals)]))


def test_an_answer_ends_before_the_first_of_the_strings_that_end_it(monkeypatch):
    decoding = Decoding.parse({"until": ["\n", "", "USER:"]})
    assert decoding.cut("a cat USER: and\nmore") == "a cat"
    assert Decoding.parse({"until": "."}).cut("One. Two") == "One"
    assert Decoding.parse({}).cut("One.\nTwo") == "One.\nTwo"
    monkeypatch.setattr(LlavaAdapter, "to_text", lambda self, ids: "\nOne.\nTwo")
    (answer,) = Answerer(tiny_llava(), GRID, 1).answer(
        [request(options={"until": "\n", "max_new_tokens": 2})]
    )
    assert answer.text == "One.", "what the answer begins with does not end it"


def test_options_are_those_of_the_task_and_greedy_without_them():
    assert Decoding.parse({}) == Decoding(1024, 0.0, ())
    quiet = {"temperature": 0, "top_p": 1.0, "num_beams": 1, "do_sample": False}
    assert Decoding.parse({**quiet, "max_new_tokens": 16}) == Decoding(16)
    assert Decoding.parse({"temperature": 0.7, "do_sample": False}) == Decoding()
    assert Decoding.parse({"temperature": 0.7}).temperature == 0.7
    with pytest.raises(ValueError, match=r"top_p is 0\.9, wanted 1"):
        Decoding.parse({"temperature": 0.7, "top_p": 0.9})


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ("written", "It is at [0.50, 0.25, 0.75, 0.75]"),
        ("picture", "[0.500, 0.125, 0.750, 0.875]"),
    ],
)
def test_a_box_stays_as_written_or_becomes_fractions_of_the_picture(boxes, expected, monkeypatch):
    """The picture is 90 x 60: a sixth of the square lies above it, and a sixth below."""
    written = "It is at [0.50, 0.25, 0.75, 0.75]"
    monkeypatch.setattr(LlavaAdapter, "to_text", lambda self, ids: written)
    (answer,) = Answerer(tiny_llava(), GRID, 1, boxes).answer([request()])
    assert answer.text == expected


def test_an_answer_without_a_box_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(LlavaAdapter, "to_text", lambda self, ids: "nowhere")
    (answer,) = Answerer(tiny_llava(), GRID, 1, "picture").answer([request()])
    assert answer.text == "nowhere"


def test_arguments_name_a_model_a_method_and_its_knobs(monkeypatch):
    loaded = []
    monkeypatch.setattr(module, "load", lambda *asked: loaded.append(asked) or tiny_llava())
    made = answerer("embedded-video", "fastv:fix", 0.3, "pesp", layer=3, device="cpu")
    assert loaded == [("embedded-video", "cpu", None)]
    assert made.method == create("fastv", retention_ratio=0.3, numbering="pesp", layer=3)
    assert made.frames == 16, "as many as the model samples"
    assert answerer("embedded-video", frames=4).frames == 4
    assert answerer().method == create("vanilla")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model": "gpt"}, "no model 'gpt'"),
        ({"method": "fastx"}, "Unknown method 'fastx'"),
        ({"method": "fastv", "depth": 3}, "Unknown FastV knob 'depth'"),
        ({"boxes": "padded"}, "Boxes are 'padded', wanted written or picture"),
    ],
)
def test_a_wrong_argument_is_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        answerer(**wrong)


def test_without_lmms_eval_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lmms_eval.__main__", None)
    assert command.main() == 2
    assert "requirements-eval.txt" in capsys.readouterr().err
