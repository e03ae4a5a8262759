"""Questions by skill: shares of each method, chance, refusals, and the part of the docs."""

from __future__ import annotations

import pytest

from app.docs.skills import skills as page
from app.measure import foil, skills
from app.measure.asking import Case, ask
from app.measure.bench import refusal_of
from app.settings import Settings
from models.uploads.media import drawn
from pruning.methods import create
from tests.app.test_bench import answer
from tests.tiny import tiny_llava


def lanes():
    methods = {"vanilla": 0.0, "downsample": 0.222, "nuwa": 0.222, "gazevlm": 0.222}
    made = [
        (name, create(name, **{"retention_ratio": r} if r else {})) for name, r in methods.items()
    ]
    right = {"vanilla": (1, 1), "downsample": (0, 0), "nuwa": (1, 0)}
    columns = [
        [
            answer(sort=sort, overlap=float(one) if sort == "size" else None, exact=bool(one))
            for sort in ("size", "viewpoint")
            for one in right[name]
        ]
        if name in right
        else [refusal_of(method)]
        for name, method in made
    ]
    return made, columns


def report():
    made, columns = lanes()
    rows = [skills.row_of(*lane, column) for lane, column in zip(made, columns, strict=True)]
    about = {"model": "embedded-image", "scenes": 2, "questions": {"size": 2, "viewpoint": 2}}
    return about | {"rows": rows, "against_downsampling": foil.pairs(made, columns)}


def test_a_row_has_the_share_right_of_each_skill_with_boxes_and_the_viewpoint_its_chance():
    found = report()
    printed = skills.table(found)
    head, vanilla, smaller, nuwa, refused, *_ = printed.splitlines()
    assert head.split()[3:] == ["size", "viewpoint", "(chance", "0.50)"]
    assert [line.split()[-2:] for line in (smaller, nuwa)] == [["0.000"] * 2, ["0.500"] * 2]
    assert vanilla.split()[-2:] == ["1.000"] * 2 and "refused: GazeVLM needs" in refused
    assert "against down-sampling at 22.2%" in printed and "viewpoint" in printed.splitlines()[-2]


def test_the_docs_have_a_row_for_each_lane_or_say_that_nothing_is_measured():
    assert page(None) == "Not measured."
    text = page(report())
    assert "| `nuwa` | 22.2% | 0.500 | 0.500 |" in text and "viewpoint (chance 0.50)" in text
    assert "| `gazevlm` | 22.2% | refused | refused |" in text
    assert "questions: 2 of size, 2 of viewpoint" in text


def test_a_question_of_every_skill_is_asked_of_a_model():
    asked = {one.sort: (picture, one) for picture, one in skills.skill_questions(12, pixels=48)}
    assert asked.keys() == skills.SKILLS.keys()
    methods = create("vanilla"), create("nuwa", retention_ratio=0.5)
    for picture, one in asked.values():
        truth = skills.truth_of(one)
        case = Case("", drawn(picture), one.text, methods, 4, truth=truth, sort=one.sort)
        given = ask(tiny_llava(), case)
        assert [each.sort for each in given] == [one.sort] * 2
        assert skills.row_of("nuwa", methods[1], given)["skills"].keys() == {one.sort}


def test_skills_of_clips_are_refused():
    with pytest.raises(ValueError, match="wanted at least 1 on a model of pictures"):
        skills.by_skill("embedded-video", 5, 0, [], [], "published", Settings())
