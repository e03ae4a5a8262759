"""Who leaves takes what is under way along; who comes meets the worker that is set."""

from __future__ import annotations

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
            next(tab.iter_lines())
            assert not worker.cancelled[0].is_set()
        wait_until(worker.cancelled[0].is_set)
    finally:
        demo.close()


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
