"""The count of what was seen inside the model, on answers made up for the test."""

from __future__ import annotations

import json

import pytest

from app.measure.findings.differences import CURVES
from app.measure.findings.inside import CLAIMS, count, look_inside, questions_of
from app.measure.findings.inside_page import blocking_text, curves_text
from app.settings import Settings
from tests.tiny import tiny_llava


def made_up(number: int, box: bool, wrong: tuple[int, ...] = (), less: float = 0) -> dict:
    """A question that Nüwa's lane answers right in every cell, with `less` flow in one layer."""
    cells = [cell not in wrong for cell in range(12)]
    ratios = [1.0 if right else 0.25 for right in cells]
    curves = {name: [0.5, float(number)] for name in CURVES}
    curves |= {"cohesion": [None, 1.0 if box else None], "cohesion_random": [None, 0.25]}
    lower = curves | {"answer_flow": [0.5 - less, float(number)], "cohesion_random": [None, 0.5]}
    return {
        "name": str(number),
        "upload": str(number // 2),
        "box": box,
        "blocked": {
            "vanilla": {"right": True, "cells": cells, "ratios": ratios},
            "nuwa": {"right": True, "cells": [True] * 12, "ratios": [1.0] * 12},
        },
        "curves": {"vanilla": {"llm": curves}, "nuwa": {"llm": lower}},
    }


def test_a_group_without_questions_is_null_in_the_json_and_none_on_the_page() -> None:
    found = count([made_up(n, True, wrong=(1,)) for n in range(3)])
    found |= {"model": "a-model", "uploads": 3}
    found = json.loads(json.dumps(found, allow_nan=False))
    assert found["open"]["questions"] is None
    page = blocking_text({"a-model": found})
    assert "| visual tokens | second | 0 % | none | 0.25 | none |" in page
    assert "| none against none | 1.000 | **not decided** |" in page


def test_a_claim_holds_where_the_blocked_cell_is_wrong_far_more_often() -> None:
    records = [made_up(n, True, wrong=(1,)) for n in range(40)] + [
        made_up(n, False) for n in range(40)
    ]
    found = count(records)
    assert found["asked"] == {"boxes": 40, "questions": 40}
    assert found["cells"][1] == {
        "source": "visual",
        "quarter": 1,
        "boxes": 0,
        "questions": 1,
        "ratios": {"boxes": 0.25, "questions": 1},
    }
    verdicts = {(row["of"], row["first"], row["second"]): row["verdict"] for row in found["claims"]}
    assert len(verdicts) == len(CLAIMS)
    assert verdicts["boxes", ("visual", 1), ("visual", 0)] == "holds"
    assert verdicts["boxes", ("last", 1), ("last", 0)] == "not decided"
    curves = found["curves"]["vanilla"]["llm"]
    assert curves["answer_flow"] == pytest.approx([0.5, 19.5])
    assert curves["cohesion"] == [None, 1]
    of_nuwa = {row["verdict"] for row in found["compressed"]["nuwa"]["claims"]}
    assert of_nuwa == {"not decided"}, "its cells are right"


def test_the_page_names_what_is_not_measured_yet_and_shares_of_what_is() -> None:
    assert "not measured yet" in blocking_text({}).lower()
    found = count([made_up(n, n < 9, wrong=(1,)) for n in range(20)])
    found |= {"model": "a-model", "uploads": 10}
    page = blocking_text({"a-model": found})
    assert "| visual tokens | second | 0 % | 0 % | 0.25 | 0.25 | 5 % | 89 % | 90 % |" in page
    assert "**a-model**: 9 boxes and 11 questions about 10 uploads." in page
    assert "| visual tokens | second | 100 % | 100 % | 1.00 | 1.00 | 5 % | 89 % | 90 % |" in page


def test_a_curve_is_lower_or_higher_where_the_same_questions_say_so_and_else_not_decided() -> None:
    records = [made_up(n, n % 2 == 0, less=0.1 + n / 1000) for n in range(60)]
    found = count(records)["differences"]
    verdicts = {(row["curve"], row["of"]): row["verdict"] for row in found}
    assert verdicts["answer_flow", "boxes"] == verdicts["answer_flow", "questions"] == "lower"
    assert verdicts["text_flow", "boxes"] == "not decided", "the same in both lanes"
    assert verdicts["cohesion", "boxes"] == "lower", "chance is higher"
    assert ("cohesion", "questions") not in verdicts, "no question about an object"
    flow = found[0]
    low, high = flow["interval"]
    assert flow["difference"] == pytest.approx(-0.0645) and low < -0.0645 < high < 0
    few = count(records[:3])["differences"]
    assert {row["verdict"] for row in few} == {"not decided"}, "too few uploads"
    page = curves_text({"a-model": {"model": "a-model", "curves": {}, "differences": found}})
    assert "| nuwa | 30 boxes |" in page and "| 0.004 | **lower** |" in page


def test_a_question_is_asked_open_with_each_cell_blocked_and_compressed() -> None:
    asked = next(questions_of(Settings.model, 1))
    found = look_inside(tiny_llava(), asked)
    assert list(found["blocked"]) == ["vanilla", "nuwa"]
    assert all(len(one["cells"]) == len(one["ratios"]) == 12 for one in found["blocked"].values())
    assert found["box"] is (asked.truth.box is not None)
    assert list(found["curves"]) == ["vanilla", "nuwa", "visionzip"]
    assert len(found["curves"]["nuwa"]["llm"]["answer_flow"]) == 8
    assert [lane for lane, parts in found["curves"].items() if "encoder" in parts] == ["vanilla"]
