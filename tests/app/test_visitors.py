"""Who leaves takes what is under way along; who comes meets the worker that is set."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client, handle_file

from app import load
from app.settings import Settings
from app.ui.build import build, launch
from app.ui.visitors import Visitors
from app.worker.start import start_worker
from tests.app.fake_worker import FakeWorker, wait_until


def test_who_leaves_cancels_own_jobs_and_no_others():
    visitors = Visitors()
    with visitors.job("one") as first, visitors.job("one") as second, visitors.job("two") as other:
        visitors.leave(SimpleNamespace(session_hash="one"))
        assert first.is_set() and second.is_set() and not other.is_set()
    visitors.leave(SimpleNamespace(session_hash="one"))
    assert not visitors._jobs, "nothing is kept of who has gone"


def test_a_job_is_cancelled_when_its_handler_ends_however_that_comes():
    visitors = Visitors()
    with pytest.raises(RuntimeError), visitors.job("one") as cancelled:
        raise RuntimeError
    assert cancelled.is_set() and not visitors._jobs


def test_a_closed_tab_stops_the_job_that_it_waited_for(picture):
    worker = FakeWorker(answer=lambda name: "word " * 2000, pause=0.05)
    demo = build(worker, Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        client = Client(url, verbose=False)
        client.submit(handle_file(picture), "Where is it?", api_name="/compare")
        wait_until(lambda: worker.jobs)
        with httpx.stream("GET", f"{url}gradio_api/heartbeat/{client.session_hash}") as tab:
            heard = tab.iter_lines()  # held: one that is dropped is closed
            assert next(heard)
            assert not worker.cancelled[0].is_set()
        assert worker.cancelled[0].wait(3), "gone within a second or two"
    finally:
        demo.close()


def test_a_program_that_drops_its_stream_stops_its_own_job_and_no_other(picture):
    worker = FakeWorker(answer=lambda name: "word " * 2000, pause=0.05)
    demo = build(worker, Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        call = f"{url}gradio_api/call/compare"
        data = [as_data(picture), "Where is it?", "", None, 0.5, 64, 0, 0, "published", None]
        dropped, other = [httpx.post(call, json={"data": data}).json() for _ in range(2)]
        wait_until(lambda: len(worker.jobs) == 2)
        first = [job.visitor for job in worker.jobs].index(dropped["event_id"])
        with (
            httpx.stream("GET", f"{call}/{other['event_id']}") as stays,
            httpx.stream("GET", f"{call}/{dropped['event_id']}") as goes,
        ):
            heard = [stays.iter_lines(), goes.iter_lines()]  # held: one that is dropped is closed
            assert [next(lines) for lines in heard]
            assert not worker.cancelled[first].is_set()
            goes.close()
            assert worker.cancelled[first].wait(3), "gone within a second or two"
            assert not worker.cancelled[1 - first].is_set()
    finally:
        demo.close()


def as_data(picture) -> dict[str, str]:
    """A picture as data, in a program's own words."""
    return {"url": "data:image/png;base64," + b64encode(Path(picture).read_bytes()).decode()}


def test_a_worker_of_no_known_kind_is_one_sentence():
    with pytest.raises(ValueError, match="TOKENSCOPE_WORKER is 'slurm', wanted local, ray or zero"):
        start_worker(Settings(worker="slurm"))


class FakeClient:
    """Gives, or raises, one thing after another."""

    def __init__(self, *said):
        self.said = iter(said)

    def predict(self, *_, **__):
        said = next(self.said)
        if isinstance(said, Exception):
            raise said
        return {"lanes": [{"answer": said}]}


QUESTION = ("scene-1.png", "?")


def test_a_visitor_who_is_sent_away_comes_again_when_told(monkeypatch):
    slept, made = [], load.Visit()
    monkeypatch.setattr(load.time, "sleep", slept.append)
    full = ValueError("The queue is full: 17 ahead. Try again in about 3 s.")
    assert load.persistent(FakeClient(full, "a cat"), QUESTION, made) == ["a cat"]
    assert slept == [3] and made.refusals == 1


def test_what_is_not_the_own_answer_is_counted_as_wrong(monkeypatch):
    said = ["a cat", "a dog", ConnectionError("gone")]
    clock = iter([0, 1, 1, 1, 2, 2, 3, 3, 9, 9, 9])  # the time is over after three questions
    monkeypatch.setattr(load, "patient", lambda _: FakeClient(*said))
    monkeypatch.setattr(load.time, "monotonic", lambda: next(clock))
    made = load.visit("", 5, QUESTION, ["a cat"])
    assert len(made.waits) == 1
    assert made.wrong == ["['a dog']", "ConnectionError: gone"]
