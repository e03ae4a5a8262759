"""The page with a fake worker: its updates, their timing, and the escaping of markup."""

from __future__ import annotations

import os
import signal
import threading
import time

import gradio as gr
import pytest

from app import jobs
from app.guard.visitors import Visitors
from app.page.admission import Admission
from app.page.api import Endpoint
from app.reading.pool import pool
from app.render.summary import conditions_line, lane_rows
from app.request import Request
from app.settings import EXAMPLES, Settings
from app.worker.events import ComparisonDone
from app.worker.job_queue import QueuedWorker
from tests.app.asking import TAB, ask, handlers
from tests.app.fake_worker import FakeWorker, wait_until

HOSTILE = "<script>alert(1)</script> ${alert(2)} {{constructor}} ![x](http://evil.test/x.png)"


def test_every_lane_gets_its_answer_its_pictures_and_its_counts(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    assert set(last) == set(page.outputs())
    assert not any(value == gr.skip() for value in last.values() if isinstance(value, dict))
    texts = [last[page.board.parts[f"text{lane}"]] for lane in range(4)]
    assert "A red ball lies on the grass near a lake." in texts[0]
    assert "576 → 112 → 16" in texts[2]
    assert all('data-phase="done"' in text for text in texts)
    for lane in range(4):
        shown = last[page.board.parts[f"picture{lane}"]]
        assert shown.count("data:image/jpeg;base64,") == (lane == 0), "the picture is sent once"
        assert "data-lane=" in shown and "kept" in shown


def test_words_that_are_not_in_vanillas_answer_are_marked(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    assert ">house.</mark>" in last[page.board.parts["text2"]]
    assert "<mark" not in last[page.board.parts["text0"]]


def test_an_empty_answer_is_said_to_be_empty(picture):
    page = handlers(FakeWorker(answer=lambda name: ""))
    last = list(ask(page, picture))[-1]
    assert "The answer is empty." in last[page.board.parts["text1"]]


def test_only_what_changed_is_sent_while_answers_stream(picture):
    page = handlers(FakeWorker(pause=0.06))
    _reading, first, *middle, _last = list(ask(page, picture))
    assert len(first) > 8
    assert all(0 < len(update) <= 4 for update in middle)
    assert sum(len(update) == 1 for update in middle) > len(middle) / 2


def test_text_goes_out_at_most_twenty_times_a_second(picture):
    page = handlers(FakeWorker(answer=lambda name: "word " * 100, pause=0.002))
    texts = {page.board.parts[f"text{lane}"] for lane in range(4)}
    sent = [time.monotonic() for update in ask(page, picture) if set(update) <= texts]
    assert len(sent) > 10
    assert len(sent) - 1 <= 20 * (sent[-1] - sent[0]) + 1  # the last may follow at once


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"question": "   "}, "question is empty"),
        ({"parts": ["zip", "", "published"]}, "Unknown before-LLM part"),
        ({"parts": [["nuwa"], 3, None]}, "nuwa"),
        ({"parts": ["nuwa", "", {}]}, "{}"),
    ],
)
def test_an_invalid_request_gives_one_sentence_and_no_job(picture, changes, sentence):
    worker = FakeWorker()
    page = handlers(worker)
    _, only = ask(page, picture, **changes)
    assert sentence in only[page.form.status] and 'role="alert"' in only[page.form.status]
    assert not worker.jobs
    assert page.board.results in list(ask(page, picture))[-1], "the page lives on"


def test_a_file_that_is_not_a_picture_gives_one_sentence(tmp_path):
    path = tmp_path / "<img onerror=alert(1)>.png"
    path.write_text("not a picture")
    page = handlers(FakeWorker())
    _, only = ask(page, str(path))
    assert "not a supported picture" in only[page.form.status]
    assert "<img" not in only[page.form.status]


def test_a_lane_that_fails_keeps_its_column_and_the_others_finish(picture):
    page = handlers(FakeWorker(failing=("nuwa",)))
    last = list(ask(page, picture))[-1]
    assert "It fell over. Ask for a larger ratio." in last[page.board.parts["text2"]]
    assert 'data-phase="failed"' in last[page.board.parts["text2"]]
    assert 'data-phase="done"' in last[page.board.parts["text3"]]
    assert "3 of 4 lanes answered, 1 failed" in last[page.form.status]


def test_markup_in_an_answer_a_reason_and_a_figure_stays_text(picture):
    page = handlers(FakeWorker(answer=lambda name: HOSTILE))
    last = list(ask(page, picture))[-1]
    shown = [value for value in last.values() if isinstance(value, str)]
    assert any("&lt;script&gt;" in value for value in shown)
    assert not any("<script" in value or "<img src=x" in value for value in shown)


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_a_failing_worker_gives_one_sentence_and_enables_the_buttons(picture, error, caplog):
    class Broken(FakeWorker):
        def run(self, job, cancelled=None):
            raise error("secret path")
            yield

    page = handlers(Broken())
    last = list(ask(page, picture))[-1]
    (logged,) = [record for record in caplog.records if record.message == "comparison failed"]
    assert f"internal error. The log has the rest under {logged.job}" in last[page.form.status]
    assert "secret" not in last[page.form.status]
    assert last[page.form.compare].interactive and not page.screens


def test_an_error_of_the_platform_is_shown_unchanged(picture):
    class Spent(FakeWorker):
        def run(self, job, cancelled=None):
            raise gr.Error("You have used up your quota of the day.")
            yield

    page = handlers(Spent())
    assert "used up your quota" in list(ask(page, picture))[-1][page.form.status]


def test_stop_cancels_the_job_and_keeps_the_lanes(picture):
    worker = FakeWorker(pause=0.2)
    page = handlers(worker)
    updates = []
    running = threading.Thread(target=lambda: updates.extend(ask(page, picture)))
    running.start()
    wait_until(lambda: len(updates) > 3)
    stopped = page.stop(TAB)
    running.join(timeout=5)
    assert not running.is_alive() and worker.cancelled[0].is_set()
    assert "Stopped" in stopped[page.form.status]
    begun = [update for update in updates if page.board.caption in update]
    assert begun and begun[0][page.board.comparison] is None, "Measure would take the previous one"
    assert 'data-phase="stopped"' in stopped[page.board.parts["text0"]]
    assert not page.screens


def test_a_second_compare_is_ignored_while_one_runs_and_answered_after_stop(picture):
    worker = FakeWorker(pause=0.2)
    page = handlers(worker)
    running = threading.Thread(target=lambda: list(ask(page, picture)))
    running.start()
    wait_until(lambda: len(worker.cancelled) == 1)
    assert list(ask(page, picture)) == []
    page.stop(TAB)
    assert worker.cancelled[0].is_set()
    worker.pause = 0
    assert len(list(ask(page, picture))) > 1, "the stopped one may still be ending"
    running.join(5)
    assert not running.is_alive()


@pytest.fixture
def stalled():
    """The page's next reader, whose child takes its whole time for whatever is asked of it."""
    readers = pool(Settings())
    readers.read(EXAMPLES / "scene-1.png", 1)
    reader = readers.free[-1]
    os.kill(reader._child.pid, signal.SIGSTOP)
    yield lambda: reader not in readers.free
    reader._stop()


def test_stop_reaches_a_reading_and_the_next_comparison_reads(picture, stalled):
    worker, updates = FakeWorker(), []
    page = handlers(worker)
    running = threading.Thread(target=lambda: updates.extend(ask(page, picture)))
    running.start()
    wait_until(stalled)
    assert "Reading the upload." in updates[0][page.form.status]
    assert updates[0][page.form.stop].interactive
    assert "Stopped." in page.stop(TAB)[page.form.status]
    running.join(5)
    assert not running.is_alive() and not worker.jobs and not page.screens
    assert (
        "Stopped." in updates[-1][page.form.status] and updates[-1][page.form.compare].interactive
    )
    assert page.board.results in list(ask(page, picture))[-1]


def test_closing_a_tab_ends_the_reading_of_its_upload(picture, stalled):
    page = handlers(FakeWorker())
    running = threading.Thread(target=lambda: list(ask(page, picture)))
    running.start()
    wait_until(stalled)
    page.admission.visitors.on_unload(TAB)
    running.join(5)
    assert not running.is_alive() and not stalled()


@pytest.mark.parametrize(
    ("settings", "before", "sentence"),
    [
        (Settings(queue_size=1), "another tab", "queue is full"),
        (Settings(visitor_jobs=1), TAB.session_hash, "You have 1"),
    ],
)
def test_a_refused_request_reads_no_upload(picture, settings, before, sentence, monkeypatch):
    monkeypatch.setattr(jobs, "read_upload", lambda *_: pytest.fail("it was read"))
    worker = QueuedWorker(FakeWorker(), settings)
    page = handlers(worker)
    with worker.admit(before):
        (only,) = ask(page, picture)
        assert sentence in only[page.form.status] and only[page.form.compare].interactive
        with pytest.raises(gr.Error, match=sentence):
            Endpoint(Admission(worker, settings, Visitors())).compare(
                Request(upload=picture, question="Where?"), TAB
            )


def test_a_closed_tab_frees_the_device(picture):
    worker = FakeWorker(pause=0.05)
    page = handlers(worker)
    updates = ask(page, picture)
    next(updates), next(updates), next(updates)
    updates.close()
    assert worker.cancelled[0].is_set() and not page.screens


def test_stop_without_a_comparison_changes_nothing():
    page = handlers(FakeWorker())
    assert "Stopped" in page.stop(TAB)[page.form.status]


def test_the_same_run_has_the_same_figures_in_the_record_and_on_the_page(picture):
    worker = FakeWorker()
    page = handlers(worker)
    last = list(ask(page, picture))[-1]
    *_, done = FakeWorker().run(worker.jobs[0])
    assert isinstance(done, ComparisonDone)
    for row in lane_rows(done.comparison):
        for key in ("total_ms", "kv_mb", "tokens"):
            assert row["text"][key] in last[page.board.figures]
    assert conditions_line(done.comparison) in last[page.board.conditions]


def test_the_position_strategy_chosen_on_the_page_reaches_every_method(picture):
    worker = FakeWorker()
    list(ask(handlers(worker), picture, positions="rpme"))
    _, *others = worker.jobs[-1].methods
    assert [method.numbering for method in others] == ["rpme"] * 3


def test_the_lanes_of_the_lab_replace_the_chosen_methods_and_positions(picture):
    worker = FakeWorker()
    page = handlers(worker)
    parts = ["visionzip", "fastv", "published", "nuwa", "", "rpme", "", "", "published"]
    last = list(ask(page, picture, parts=parts, positions="perc"))[-1]
    names = ["vanilla", "visionzip.before+fastv.inner", "nuwa.before+rpme"]
    assert [method.name for method in worker.jobs[-1].methods] == names
    assert "VisionZip before + FastV inside" in last[page.board.parts["text1"]]
    assert "Nüwa before, RPME" in last[page.board.parts["text2"]]
    assert not last[page.board.columns[3]].visible


def test_a_refusal_leaves_the_board_as_it_is(picture):
    page = handlers(FakeWorker())
    _, refused = ask(page, picture, question=" ")
    assert set(refused) == {page.form.compare, page.form.stop, page.form.status}
