"""A sweep's verdicts and sentences come from its lanes; its chart and sheet show them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.render.chart import chart_svg
from app.render.sheet import ZOOM
from app.render.sweep import Sweep, breaking_point, sentences, sweep_chart, table
from app.render.sweep_sheet import CELL, lane_picture, sweep_sheet
from models.engine.record import LaneFailure, Truth
from models.uploads.media import drawn
from tests.app import factory

FRAME = factory.picture()
RIGHT, WRONG = ([[*factory.TRUTH_BOX]], [[0.1, 0.1, 0.2, 0.2]])
RATIOS = (0.5, 1 / 3, 1 / 9)
TRUTH = Truth("[0.56, 0.38, 0.80, 0.72]", factory.TRUTH_BOX)


def lane(method, boxes=WRONG, answer="[…]"):
    trace = factory.vanilla_trace() if method == "Vanilla" else factory.fastv_trace(FRAME)
    box = np.array(boxes, np.float32).reshape(-1, 4)
    return factory.lane(method.lower(), method, trace, answer, boxes=box)


def sweep(*lanes, truth=TRUTH):
    return Sweep(replace(factory.comparison(lanes=lanes), truth=truth), RATIOS)


def refused(title, reason="Its smallest ratio here is 20 %."):
    return LaneFailure(title.lower(), title, reason)


VERDICTS = [
    ("+++", "A holds at every ratio, down to 11 %."),
    ("++-", "A holds down to 33 % and is wrong at 11 %."),
    ("+-+", "A holds down to 50 % and is wrong at 33 %; it is right again at 11 %."),
    ("---", "A is wrong already at 50 %."),
    ("++x", "A holds down to 33 %; it cannot run at 11 %."),
    ("-xx", "A is wrong already at 50 %; it cannot run at 33 % and 11 %."),
    ("xxx", "A: Its smallest ratio here is 20 %."),
]


@pytest.mark.parametrize(("verdicts", "sentence"), VERDICTS)
def test_the_breaking_point_of_a_method_is_one_sentence(verdicts, sentence):
    makers = {"+": lambda: lane("A", RIGHT), "-": lambda: lane("A"), "x": lambda: refused("A")}
    ran = sweep(lane("Vanilla", RIGHT), *(makers[one]() for one in verdicts))
    assert breaking_point("A", ran.rows["A"]) == sentence


def test_without_a_true_answer_lanes_are_compared_with_vanilla():
    answers = [lane("A", [], answer) for answer in ("A red ball.", "a red ball", "A house.")]
    ran = sweep(lane("Vanilla", [], "A red ball."), *answers, truth=None)
    first, second = sentences(ran)
    assert first == "The true answer is not known, so each answer is compared with vanilla's."
    assert second == "A answers as vanilla down to 33 % and differs at 11 %."


def test_the_table_has_a_row_a_method_and_a_column_a_ratio():
    lanes = [lane("A", RIGHT), lane("A"), refused("A"), *[refused("B", "")] * 3]
    head, vanilla, first, second = table(sweep(lane("Vanilla", RIGHT), *lanes)).splitlines()
    assert head.split() == ["method", "50", "%", "33", "%", "11", "%"]
    assert vanilla.startswith("Vanilla") and "✓ 1.00" in vanilla
    assert first.split() == ["A", "✓", "1.00", "✗", "0.00", "–"] and second == "B"


@pytest.mark.parametrize("boxes", [RIGHT, []])
def test_the_chart_is_drawn_for_boxes_and_for_other_answers(tmp_path, boxes):
    lanes = [lane("A", boxes), lane("A", boxes, "no"), refused("A")]
    ran = sweep(lane("Vanilla", boxes), *lanes, truth=TRUTH if boxes else Truth("[…]"))
    chart_svg(sweep_chart(ran), tmp_path / "sweep.svg")
    text = (tmp_path / "sweep.svg").read_text()
    assert ("right from 0.5" in text) is bool(boxes) and "50 %" in text


def test_a_cell_is_the_overlay_with_the_box_and_its_frame_tells_the_verdict():
    ran = sweep(lane("Vanilla", RIGHT), lane("A", RIGHT), lane("A"), refused("A"))
    sheet = np.asarray(sweep_sheet(ran))
    cell = lane_picture(drawn(FRAME), lane("A"), TRUTH, ran.colours[0])
    height = cell.height
    assert cell.width == ZOOM * CELL
    below = np.flatnonzero((sheet[:, ZOOM * 8 + 1] == (0, 158, 115)).all(axis=1))
    assert len(below) >= 2 * height, "vanilla's and the first cell's left edges are green"
