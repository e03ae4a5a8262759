"""The ZeroGPU worker, with a stand-in for `spaces` that pickles like the real one."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.jobs import read_job
from app.request import Request
from app.settings import EXAMPLES, Settings
from app.worker.events import ComparisonDone
from app.worker.local import LocalWorker
from app.worker.pace import Pace
from app.worker.start import backend
from models.engine.record import Phase, Timeline
from tests.app.fake_worker import wait_until

pytestmark = pytest.mark.slow

QUESTION = "Find the car on the right."


VISITOR = ContextVar("visitor", default="nobody")


class Spaces:
    """Stand-in for the platform's module; records its calls and pickles arguments and events.

    A call returns the device only when it is closed or runs to its end.
    """

    def __init__(self) -> None:
        self.durations: list[float] = []
        self.visitors: list[str] = []  # whose quota each call was for
        self.calls: list[Iterator] = []
        self.lent = 0  # devices that are with a call now
        self.ended = 0  # calls that were taken to their end
        self.busy, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()  # else a call waits before its second event

    def GPU(self, duration):  # noqa: N802 (its name there)
        def lend(function):
            def call(*arguments):
                self.durations.append(duration(*arguments))
                self.visitors.append(VISITOR.get())
                arguments = pickle.loads(pickle.dumps(arguments))
                self.lent += 1
                try:  # what is raised in the fork: the platform prints it, and tells its type
                    for number, event in enumerate(function(*arguments)):
                        if number == 1:
                            self.busy.set()
                            assert self.goes_on.wait(60)
                        yield pickle.loads(pickle.dumps(event))
                    self.ended += 1
                except Exception as error:
                    raise RuntimeError(f"worker error: {type(error).__name__}") from None
                finally:
                    self.lent -= 1

            def kept(*arguments):
                self.calls.append(call(*arguments))
                return self.calls[-1]

            return kept

        return lend


@pytest.fixture
def spaces(monkeypatch) -> Spaces:
    stand_in = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=stand_in.GPU))
    monkeypatch.delitem(sys.modules, "app.worker.zero_gpu", raising=False)
    yield stand_in
    sys.modules.pop("app.worker.zero_gpu", None)


def job(**changes):
    upload = EXAMPLES / "scene-1.png"
    request = Request(upload=upload, question=QUESTION, methods=["fastv"], retention_ratio=0.5)
    return replace(read_job(request), max_new_tokens=8, **changes)


def last(worker, asked):
    *_, done = worker.run(asked)
    assert isinstance(done, ComparisonDone)
    return done.comparison


def test_a_comparison_on_zero_gpu_is_the_one_of_this_process(spaces):
    asked = job()
    lent, own = last(backend(Settings(worker="zero")), asked), last(LocalWorker(), asked)
    assert lent.media is asked.media
    for one, other in zip(lent.lanes, own.lanes, strict=True):
        assert (one.method, one.answer, one.tflops) == (other.method, other.answer, other.tflops)
        assert np.array_equal(one.trace.per_layer, other.trace.per_layer)


def test_a_comparison_requests_a_device_once_for_twice_what_the_last_lanes_took(spaces):
    worker, asked = backend(Settings(worker="zero")), job()
    done = last(worker, asked)
    assert spaces.durations == [18], "a guess"
    assert len(worker.pace._took[asked.model]) == len(done.lanes)
    pace, read = Pace(), done.media.read_seconds + 0.2  # the upload was read before the call
    for decode in (0.4, 0.8):  # seconds of 8 tokens
        times = {"read": read, "prefill": 0.3, "decode": decode}
        timeline = Timeline(tuple(Phase(*one, 1, 1) for one in times.items()), first_token=0.1)
        pace.learn(asked, replace(done.lanes[0], timeline=timeline, new_tokens=8))
    assert pace.seconds(asked) == pytest.approx(10 + 2 * 2 * (0.5 + 0.5 + 0.8)), "a pass to warm up"
    assert pace.seconds(replace(asked, max_new_tokens=16)) > pace.seconds(asked)
    assert pace.seconds(replace(asked, model="another")) == 18, "of another model again a guess"


def test_a_device_is_lent_on_the_quota_of_the_visitor(spaces):
    worker = backend(Settings(worker="zero"))
    for visitor in ("ann", "bob"):
        context = copy_context()
        context.run(VISITOR.set, visitor)
        context.run(last, worker, job())
    assert spaces.visitors == ["ann", "bob"]


def test_a_comparison_returns_the_device_when_it_ends_and_when_it_is_closed(spaces):
    worker = backend(Settings(worker="zero"))
    last(worker, job())
    wait_until(lambda: not spaces.lent)
    spaces.goes_on.clear()
    events = worker.run(job())
    next(events)
    assert spaces.lent == 1
    events.close()
    spaces.goes_on.set()
    wait_until(lambda: not spaces.lent)
    assert spaces.ended == 1, "the second one was not run to its end"


def test_stop_ends_a_job_while_the_device_sends_no_event(spaces):
    spaces.goes_on.clear()
    cancelled, events_seen = threading.Event(), []
    events = backend(Settings(worker="zero")).run(job(), cancelled)
    running = threading.Thread(target=lambda: events_seen.extend(events))
    running.start()
    assert spaces.busy.wait(60)
    cancelled.set()
    running.join(60)
    assert not running.is_alive() and spaces.lent == 1, "it is still at its step"
    assert not any(isinstance(event, ComparisonDone) for event in events_seen)
    spaces.goes_on.set()
    wait_until(lambda: not spaces.lent)


def test_a_refusal_of_the_platform_is_raised(spaces, monkeypatch):
    worker = backend(Settings(worker="zero"))

    def refuse(job):
        raise RuntimeError("the quota is used up")
        yield

    monkeypatch.setattr(worker, "_lent", refuse)
    with pytest.raises(RuntimeError, match="quota is used up"):
        list(worker.run(job()))


def test_a_value_error_keeps_its_message(spaces):
    with pytest.raises(ValueError, match="There is no model 'gpt'"):
        last(backend(Settings(worker="zero")), job(model="gpt"))


def test_any_other_error_is_raised_by_its_type_and_logged(spaces, monkeypatch, caplog):
    worker, asked = backend(Settings(worker="zero")), job()

    def fall(*_):
        raise RuntimeError("a secret")
        yield

    monkeypatch.setattr(worker.local, "steps", fall)
    with pytest.raises(RuntimeError, match=r"^RuntimeError$"):
        last(worker, asked)
    assert [record.job for record in caplog.records] == [asked.number]


def test_spaces_is_not_imported_elsewhere():
    assert "spaces" not in sys.modules
    with pytest.raises(ValueError, match="wanted local, ray or zero"):
        backend(Settings(worker="cloud"))
