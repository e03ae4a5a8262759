"""ZeroGPU as far as it can be had here: a `spaces` that pickles what the real one pickles."""

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
from app.worker.start import engine
from tests.app.fake_worker import wait_until

pytestmark = pytest.mark.slow

QUESTION = "Find the car on the right."


VISITOR = ContextVar("visitor", default="nobody")


class Spaces:
    """Stands in for the platform's module: what a call asks for, and pickles on the way.

    It holds on to its calls: only who closes one, or takes it to its end, gives the device back.
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
    lent, own = last(engine(Settings(worker="zero")), asked), last(LocalWorker(), asked)
    assert lent.media is asked.media
    for one, other in zip(lent.lanes, own.lanes, strict=True):
        assert (one.method, one.answer, one.tflops) == (other.method, other.answer, other.tflops)
        assert np.array_equal(one.trace.per_layer, other.trace.per_layer)


def test_a_device_is_asked_for_once_a_comparison_and_longer_for_more_work(spaces):
    worker = engine(Settings(worker="zero"))
    for asked in (job(), replace(job(), max_new_tokens=16)):
        last(worker, asked)
    short, long = spaces.durations
    assert 0 < short < long


def test_a_device_is_lent_on_the_quota_of_whoever_asked(spaces):
    worker = engine(Settings(worker="zero"))
    for visitor in ("ann", "bob"):
        context = copy_context()
        context.run(VISITOR.set, visitor)
        context.run(last, worker, job())
    assert spaces.visitors == ["ann", "bob"]


def test_a_comparison_gives_the_device_back_when_it_ends_and_when_it_is_left(spaces):
    worker = engine(Settings(worker="zero"))
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


def test_stop_is_noticed_while_the_device_says_nothing(spaces):
    spaces.goes_on.clear()
    cancelled, told = threading.Event(), []
    events = engine(Settings(worker="zero")).run(job(), cancelled)
    running = threading.Thread(target=lambda: told.extend(events))
    running.start()
    assert spaces.busy.wait(60)
    cancelled.set()
    running.join(5)
    assert not running.is_alive() and spaces.lent == 1, "it is still at its step"
    assert not any(isinstance(event, ComparisonDone) for event in told)
    spaces.goes_on.set()
    wait_until(lambda: not spaces.lent)


def test_what_the_platform_refuses_reaches_whoever_asked(spaces, monkeypatch):
    worker = engine(Settings(worker="zero"))

    def refuse(job):
        raise RuntimeError("the quota is used up")
        yield

    monkeypatch.setattr(worker, "_lent", refuse)
    with pytest.raises(RuntimeError, match="quota is used up"):
        list(worker.run(job()))


def test_a_sentence_for_people_comes_from_the_fork_whole(spaces):
    with pytest.raises(ValueError, match="There is no model 'gpt'"):
        last(engine(Settings(worker="zero")), job(model="gpt"))


def test_any_other_error_leaves_the_fork_by_its_type_and_is_in_the_log(spaces, monkeypatch, caplog):
    worker, asked = engine(Settings(worker="zero")), job()

    def fall(*_):
        raise RuntimeError("a secret")
        yield

    monkeypatch.setattr(worker.local, "steps", fall)
    with pytest.raises(RuntimeError, match=r"^RuntimeError$"):
        last(worker, asked)
    assert [record.job for record in caplog.records] == [asked.number]


def test_elsewhere_nothing_asks_for_spaces():
    assert "spaces" not in sys.modules
    with pytest.raises(ValueError, match="wanted local, ray or zero"):
        engine(Settings(worker="cloud"))
