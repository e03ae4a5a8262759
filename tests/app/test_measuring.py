"""Measure repeats the lanes of the board and leaves its pictures as they are."""

from __future__ import annotations

from app.jobs import read_job
from app.page.held import HeldComparison
from app.page.measuring import Measuring
from app.request import Request
from tests.app.asking import QUESTION, TAB, handlers
from tests.app.fake_worker import FakeWorker


def measuring(worker):
    page = handlers(worker)
    return page, Measuring(page.admission, page.form, page.board)


def held(picture, **changes):
    request = Request(upload=picture, question=QUESTION, methods=["visionzip", "nuwa"])
    *_, done = FakeWorker().run(read_job(request))
    return HeldComparison(done.comparison, **{"request": request} | changes)


def test_every_lane_runs_an_odd_number_of_times_in_turns(picture):
    page, measure = measuring(worker := FakeWorker())
    shown = held(picture)
    *_, last = measure.run(TAB, shown)
    names = [method.name for method in worker.jobs[-1].methods]
    assert names == 9 * ["vanilla", "visionzip", "nuwa"] and worker.jobs[-1].at_once == 1
    assert [len(lane.repeats) for lane in shown.comparison.lanes] == [9, 9, 9]
    assert "Measured." in last[page.form.status] and ", one run" not in last[page.board.figures]
    assert last[page.form.compare].interactive and not page.board.parts.keys() & last.keys()


def test_a_recording_is_not_measured_and_a_failing_worker_leaves_the_board(picture):
    page, measure = measuring(FakeWorker())
    (only,) = measure.run(TAB, held(picture, recorded=True))
    assert "is a recording" in only[page.form.status]

    class Broken(FakeWorker):
        def run(self, job, cancelled=None):
            raise ValueError("secret path")
            yield

    page, measure = measuring(Broken())
    *_, last = measure.run(TAB, held(picture))
    assert "internal error" in last[page.form.status] and page.board.latency not in last


def test_a_comparison_that_was_dropped_while_it_was_measured_stays_dropped(picture):
    shown = held(picture)

    class Crowded(FakeWorker):
        def run(self, job, cancelled=None):
            shown.drop()
            return super().run(job, cancelled)

    page, measure = measuring(Crowded())
    *_, last = measure.run(TAB, shown)
    assert shown.comparison is None and "Measured." in last[page.form.status]
