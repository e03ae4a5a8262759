"""Cases × methods → answers: right and wrong, refusals, one encoding, and a run that resumes."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from app.measure import asking
from app.measure.asking import Answer, Case, EncodedOnce, Refusal, ask, ask_all, judge, meaning
from models.engine.pipeline import run_lane
from models.engine.record import Truth
from models.uploads.read import read_image
from pruning.budget import Averages
from pruning.methods import create
from tests.tiny import picture, tiny_llava

GRID = create("grid", retention_ratio=0.25)
ANSWER = Answer("left", "side", None, True, 0.25, {"processed": 9.0})
REFUSAL = Refusal("too low", 0.3)


def case(name="a", media=None, **changes):
    return Case(name, media or picture(), "Where?", (GRID,), max_new_tokens=4, **changes)


def test_a_right_answer_is_the_true_one_to_the_letter_and_a_box_is_measured():
    class Lane:
        answer, boxes = " left ", np.array([[0.0, 0.0, 0.5, 1.0]])
        trace = type("Trace", (), {"average": 0.5})
        averages = Averages(72, 72, 72)
        timeline = type("Timeline", (), {"ttft": 0.1, "total": 0.2})

    assert judge(case(truth=Truth("left")), Lane).right
    assert not judge(case(truth=Truth("right")), Lane).right
    boxed = judge(case(truth=Truth("", (0.0, 0.0, 1.0, 1.0))), Lane)
    assert boxed.exact is None and boxed.overlap == pytest.approx(0.5) and boxed.right
    unknown = judge(case(), Lane)
    assert unknown.exact is unknown.overlap is None and not unknown.right


def test_an_unreadable_file_or_a_ratio_too_low_costs_its_rows_alone(tmp_path):
    lost = case(media=lambda: read_image(tmp_path / "nowhere.png"))
    (refusal,) = ask(tiny_llava(), lost)
    assert "nowhere.png" in refusal.reason and refusal.smallest is None
    low = Case("low", picture(), "Where?", (create("fastv", retention_ratio=0.01), GRID))
    refusal, answer = ask(tiny_llava(), low)
    assert refusal.smallest > 0.01 and answer.ratio == pytest.approx(0.25)


def test_an_error_that_is_no_refusal_stops_the_run(monkeypatch):
    def broken(self, visual, keep):
        raise ValueError("a column lies outside the 9 tokens")

    monkeypatch.setattr(type(GRID), "compress", broken)
    with pytest.raises(ValueError, match="a column lies outside"):
        ask(tiny_llava(), case())


def test_an_upload_is_encoded_once_for_what_lanes_need_alike_and_answers_stay_the_same():
    adapter, calls = tiny_llava(), []

    class Counting(EncodedOnce):
        def encode(self, prompt, needs):
            calls.append(needs)
            return super().encode(prompt, needs)

    once = Counting(adapter)
    lanes = (("random", 0.5), ("visionzip", 0.222), ("visionzip", 0.333))
    for method in (create("vanilla"), *(create(name, retention_ratio=r) for name, r in lanes)):
        *_, shared = run_lane(once, picture(), "Where?", method, max_new_tokens=4)
        *_, alone = run_lane(adapter, picture(), "Where?", method, max_new_tokens=4)
        assert shared.answer == alone.answer
    assert len(calls) == 4 and len(once._encoded) == len(set(calls)) == 2


def test_a_stopped_run_asks_only_what_is_not_stored_and_drops_a_line_cut_short(tmp_path):
    store, cases, asked = tmp_path / "answers.jsonl", [case(name) for name in "abc"], []

    def stopped(left):
        for one in left:
            if one.name == "c":
                raise KeyboardInterrupt
            yield [ANSWER, REFUSAL]

    def whole(left):
        asked.extend(one.name for one in left)
        return ([ANSWER, REFUSAL] for _ in left)

    with pytest.raises(KeyboardInterrupt):
        ask_all(cases, stopped, store)
    store.write_text(store.read_text() + '{"case": "c", "ans')
    assert ask_all(cases, whole, store) == [[ANSWER, REFUSAL]] * 3
    assert asked == ["c"]
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    assert [line["case"] for line in lines] == ["a", "b", "c"]
    assert lines[0]["answers"] == [asdict(ANSWER), asdict(REFUSAL)]
    assert ask_all(cases, lambda left: iter(map(pytest.fail, left)), store)[2] == [ANSWER, REFUSAL]


def test_without_a_store_every_case_is_asked_in_order():
    answers = ask_all([case("a"), case("b")], lambda left: (ask(tiny_llava(), one) for one in left))
    assert [len(given) for given in answers] == [1, 1]
    assert all(isinstance(given[0], asking.Answer) for given in answers)


def test_comments_and_docstrings_change_no_fingerprint_and_code_does(tmp_path):
    file, seen = tmp_path / "part.py", []
    for text in (
        'def half(x):\n    """Half."""\n    return x / 2\n',
        "def half(x):  # !\n    return x / 2",
    ):
        file.write_text(text)
        seen.append(meaning(file))
    file.write_text("def half(x):\n    return x / 3\n")
    assert seen[0] == seen[1] != meaning(file)
