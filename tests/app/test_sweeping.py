"""The Sweep takes one place in the queue, streams row by row, and stops."""

from __future__ import annotations

import pytest

from app.page import sweep
from app.page.sweep import Sweeping
from app.request import RATIOS
from tests.app.asking import QUESTION, TAB, handlers
from tests.app.fake_worker import FakeWorker


def sweeping(worker):
    page = handlers(worker)
    part = sweep.declare(page.board.sweep, page.admission.settings)
    return page, Sweeping(page.admission, page.form, part)


def start(page, swept, picture, methods=("visionzip", "nuwa")):
    form = page.form
    values = dict.fromkeys(form.values(), None) | {
        form.kind: "image",
        form.way: "methods",
        form.uploads["image"]: str(picture),
        form.question: QUESTION,
        form.model: "",
        form.methods: list(methods),
        form.retention_ratio: 0.5,
        form.positions: "published",
        form.max_new_tokens: 8,
        form.temperature: 0.0,
        form.seed: 0,
    }
    return swept.run(TAB, values)


def test_pictures_of_a_row_come_once_when_its_last_lane_has_ended(picture):
    page, swept = sweeping(worker := FakeWorker())
    updates = list(start(page, swept, picture))
    for row, pictures in zip(swept.part.rows[:3], (1, len(RATIOS), len(RATIOS)), strict=True):
        shown = [update[row] for update in updates if isinstance(update.get(row), str)]
        assert [html.count("<img") for html in shown] == [0] * (pictures - 1) + [pictures]
    assert worker.jobs[-1].at_once == 1
    heading = next(one[swept.part.heading] for one in updates if swept.part.heading in one)
    assert "<img" in heading and QUESTION in heading, "the lanes may show another picture later"
    assert "The sweep is complete." in updates[-1][page.form.status]
    assert updates[-1][swept.part.chart] and updates[-1][page.form.sweep].interactive


def test_a_stopped_sweep_ends_and_a_second_one_beside_it_is_ignored(picture):
    page, swept = sweeping(FakeWorker())
    running = start(page, swept, picture)
    for _ in range(5):
        next(running)
    assert list(start(page, swept, picture)) == []
    page.admission.visitors.cancel(TAB.session_hash)
    *_, last = running
    assert "Stopped." in last[page.form.status]
    assert "was stopped" in last[swept.part.words] and last[page.form.compare].interactive


def test_a_failing_worker_leaves_what_ran_and_says_that_the_rest_is_missing(picture):
    class Broken(FakeWorker):
        def run(self, job, cancelled=None):
            for number, event in enumerate(super().run(job, cancelled)):
                if number == 12:
                    raise RuntimeError("secret path")
                yield event

    page, swept = sweeping(Broken())
    *_, last = start(page, swept, picture)
    assert "internal error" in last[page.form.status] and last[page.form.sweep].interactive
    assert "some runs are missing" in last[swept.part.words]


@pytest.mark.parametrize("methods", [[], ["nuwa", "gone"]])
def test_what_cannot_be_swept_is_one_sentence_and_no_results_open(picture, methods):
    page, swept = sweeping(FakeWorker())
    *_, last = start(page, swept, picture, methods)
    shown = swept.part.column in last or swept.part.charts in last
    assert shown is not bool(methods)
    assert not methods or "Unknown method" in last[page.form.status]
