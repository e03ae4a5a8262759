"""ZeroGPU as far as it can be had here: a `spaces` that pickles what the real one pickles."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.events import ComparisonDone
from app.request import read_job
from app.settings import EXAMPLES, Settings
from app.worker.local import LocalWorker
from app.worker.start import engine

QUESTION = "Find the car on the right."


class Spaces:
    """Stands in for the platform's module: what a call asks for, and pickles on the way."""

    def __init__(self) -> None:
        self.durations: list[float] = []

    def GPU(self, duration):  # noqa: N802 (its name there)
        def lend(function):
            def call(*arguments):
                self.durations.append(duration(*arguments))
                arguments = pickle.loads(pickle.dumps(arguments))
                for event in function(*arguments):
                    yield pickle.loads(pickle.dumps(event))

            return call

        return lend


@pytest.fixture
def spaces(monkeypatch) -> Spaces:
    stand_in = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=stand_in.GPU))
    monkeypatch.delitem(sys.modules, "app.worker.zero", raising=False)
    yield stand_in
    sys.modules.pop("app.worker.zero", None)


def job(**changes):
    asked = read_job(EXAMPLES / "scene-1.png", QUESTION, methods=["fastv"], retention_ratio=0.5)
    return replace(asked, max_new_tokens=8, **changes)


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


def test_a_stopped_comparison_gives_the_device_back(spaces):
    events = engine(Settings(worker="zero")).run(job())
    next(events)
    events.close()
    assert last(engine(Settings(worker="zero")), job()).lanes


def test_elsewhere_nothing_asks_for_spaces():
    assert "spaces" not in sys.modules
    with pytest.raises(ValueError, match="wanted local, ray or zero"):
        engine(Settings(worker="cloud"))
