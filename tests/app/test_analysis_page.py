"""The Analysis below the lanes: what it runs, what it shows, and what it refuses."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from app.jobs import read_job
from app.page import analysis_html as html
from app.page.analysis import Analysing
from app.page.analysis_part import CHARTS, declare
from app.page.held import HeldComparison
from app.render.attention_data import attention_data
from app.render.measures import measure_chart
from app.request import Request
from app.settings import Settings
from models.analysis.study import Study
from models.engine.record import Cell, Truth
from tests.app import factory
from tests.app.asking import QUESTION, TAB, components, handlers
from tests.app.fake_worker import FakeWorker

FLOW = CHARTS.index(("answer_flow", False))
NO_BOX = np.zeros((0, 4), dtype=np.float32)


def analysing(worker):
    page, part = handlers(worker), declared()
    return Analysing(page.admission, page.form, page.board, part, page.store), part


@cache
def declared():
    _, board = components()
    with gr.Blocks():
        board.tools.render()
        board.analysis.render()
        return declare(board, Settings())


def held(picture, **changes):
    request = Request(upload=picture, question=QUESTION, methods=["visionzip", "nuwa"])
    *_, done = FakeWorker().run(read_job(request))
    return HeldComparison(done.comparison, **{"request": request} | changes)


def merged(updates):
    """The last value of every component."""
    return {part: value for update in updates for part, value in update.items()}


def test_lanes_come_as_they_end_and_a_failed_one_gives_its_reason(picture):
    own, part = analysing(worker := FakeWorker(failing=("nuwa",)))
    *updates, last = own.run(TAB, held(picture))
    shown = merged(updates)
    assert "data-inside" in shown[part.lanes[0]] and "It fell over" in shown[part.lanes[2]]
    assert shown[part.measures[FLOW]].visible and shown[part.charts[FLOW]]["layer"]
    assert not shown[part.measures[CHARTS.index(("cohesion", False))]].visible, "no object"
    assert shown[part.blocking].count("data-cell") == 6 * (4 + 25), (
        "quarters and windows of 8 of 32"
    )
    assert last[own.form.compare].interactive and not own.admission.visitors.busy("a tab")
    assert worker.jobs[-1].study == Study(None) and worker.jobs[-1].at_once == 1


def test_a_cell_runs_once_in_every_lane_that_was_analysed(picture):
    own, part = analysing(worker := FakeWorker(failing=("nuwa",)))
    analysed = merged(own.run(TAB, held(picture)))[part.held]
    press = SimpleNamespace(cell="text visual 8 16")
    shown = merged(own.block(TAB, analysed, press))
    job = worker.jobs[-1]
    assert [method.name for method in job.methods] == ["vanilla", "visionzip"]
    assert job.study == Study(None, (Cell("text", (8, 16)),), measured=())
    in_table = 2 * 2  # of two lanes, in the line and in its tooltip
    assert shown[part.blocking].count("× 0.25") == 2 * in_table, "a quarter is a window, too"
    assert 'data-cell="text visual 8 16"' not in shown[part.blocking]
    assert "<details><summary>A window of 8 layers" in shown[part.blocking]
    moved = merged(own.block(TAB, analysed, SimpleNamespace(cell="text visual 9 17")))[
        part.blocking
    ]
    assert "<details open><summary>A window" in moved and moved.count("× 0.25") == 3 * in_table
    assert not list(own.block(TAB, analysed, SimpleNamespace(cell="text object 0 8"))), (
        "no such cell"
    )


def test_a_blocked_answer_without_a_box_is_wrong_where_a_box_is_asked_for():
    lane = factory.lane("vanilla", "Vanilla", factory.vanilla_trace(), "A cup.", boxes=NO_BOX)
    found = factory.analysis(lane, Study(blocked=(Cell("last", (0, 8)),)))
    truth = Truth("[0.56, 0.38, 0.80, 0.72]", factory.TRUTH_BOX)
    asked = factory.comparison(lanes=(replace(lane, analysis=found),), truth=truth)
    assert 'class="wrong"' in html.blocking(asked, 32, object_known=True)
    assert 'class="wrong"' not in html.blocking(replace(asked, truth=None), 32, object_known=True)


def test_a_stopped_analysis_keeps_its_lanes_and_a_stopped_cell_can_run_again(picture):
    own, part = analysing(worker := FakeWorker())

    def stopped(updates, output, text):
        shown = {}
        for update in updates:
            shown |= update
            if text in str(shown.get(output)):
                worker.cancelled[-1].set()
        return shown

    begun = stopped(own.run(TAB, held(picture)), part.lanes[0], "data-inside")
    assert "data-inside" in begun[part.lanes[0]] and "Stopped." in begun[part.lanes[1]]
    assert "Stopped." in begun[own.form.status] and not begun[part.save].interactive
    analysed = merged(own.run(TAB, held(picture)))
    assert analysed[part.save].interactive
    kept, press = analysed[part.held], SimpleNamespace(cell="text visual 8 16")
    begun = stopped(own.block(TAB, kept, press), part.blocking, "× 0.25")
    assert (
        "Stopped." in begun[own.form.status]
        and 'data-cell="text visual 8 16"' in begun[part.blocking]
    )
    merged(own.block(TAB, kept, press))
    assert [method.name for method in worker.jobs[-1].methods] == ["visionzip", "nuwa"]


def test_a_box_opens_cohesion_and_the_object_s_rows_of_the_table(picture):
    own, part = analysing(worker := FakeWorker())
    analysed = merged(own.run(TAB, held(picture)))[part.held]
    (refused,) = own.mark(TAB, analysed, SimpleNamespace(box="50, 20, 10, 90"))
    assert "50, 20, 10, 90, wanted left" in refused[own.form.status]
    shown = merged(own.mark(TAB, analysed, SimpleNamespace(box="20, 20, 80, 90")))
    assert worker.jobs[-1].study == Study((0.2, 0.2, 0.8, 0.9))
    assert shown[part.measures[CHARTS.index(("cohesion", False))]].visible
    assert shown[part.blocking].count("data-cell") == 10 * (4 + 25)
    assert "The object's tokens → visual tokens" in shown[part.blocking]


def test_a_chart_has_every_layer_though_the_last_have_no_value():
    lane = factory.lane("nuwa", "Nüwa", factory.vanilla_trace(), "A cup.")
    found = factory.analysis(lane, Study((0.2, 0.2, 0.8, 0.9)))
    found.curves["cohesion"][16:] = np.nan
    chart = measure_chart(factory.comparison(lanes=(replace(lane, analysis=found),)), "cohesion")
    line = chart["layer"][0]
    assert line["encoding"]["x"]["scale"]["domain"] == [0, factory.LAYERS - 1]
    assert len(line["data"]["values"]) == 16


def test_a_comparison_that_the_form_cannot_ask_is_not_analysed(picture):
    own, _ = analysing(FakeWorker())
    (only,) = own.run(TAB, held(picture, request=None))
    assert "cannot ask" in only[own.form.status]


def test_sent_attention_is_that_of_the_analysis_to_a_hundredth(monkeypatch):
    lane = factory.lane("nuwa", "Nüwa", factory.video_trace(4), "A red ball.")
    found = factory.analysis(lane, Study())
    found.maps[:] = np.random.default_rng(0).random(found.maps.shape) ** 4
    sent = attention_data(found)
    shares = np.frombuffer(base64.b64decode(sent["maps"]), np.uint8).reshape(
        1 + len(found.tokens), *found.maps.shape[1:]
    )
    maps = (shares / 255) ** 2 * np.array(sent["most"])[:, :, None]
    assert maps[1:] == pytest.approx(found.maps, abs=0.01)
    assert maps[0] == pytest.approx(found.maps.mean(axis=0), abs=0.01)
    monkeypatch.setattr("app.render.attention_data.MOST_BYTES", 2 * maps[0].size)
    less = attention_data(found)
    assert len(less["words"]) == 1 and less["left_out"] == len(found.tokens) - 1
