"""A lane that fails or exceeds a limit ends alone and frees its memory."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from app.settings import Settings
from app.worker import lane_scheduler, local
from app.worker.events import ComparisonDone, LaneDone, LaneFailed, Notice, PhaseDone
from app.worker.lane_scheduler import Limits, advance
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models.engine.pipeline import run_lane
from models.engine.record import PHASES, LaneResult, Phase
from pruning.methods import create
from tests.app.fake_worker import wait_until
from tests.tiny import picture, tiny_llava


def job(*names, max_new_tokens=3):
    methods = tuple(create(name) for name in names or ("vanilla", "random"))
    return Job("a", picture(), "What is this?", methods, max_new_tokens)


@pytest.fixture
def clock(monkeypatch):
    """The scheduler's clock, which moves only when a test adds seconds to it."""
    now = [0.0]
    monkeypatch.setattr(lane_scheduler, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def lane(slow="", do=lambda: None):
    """The phases of a lane; calls `do` within the phase named `slow`."""
    for name in PHASES:
        if name == slow:
            do()
        yield Phase(name, 0.0, 0, 0)


def failure(running, limits=Limits()):  # noqa: B008
    events = advance(running, job(), threading.Event(), limits)
    return next(event for event in events if isinstance(event, LaneFailed))


def passing(clock, seconds):
    def pass_time():
        clock[0] += seconds

    return pass_time


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_takes_too_long_ends_its_lane_by_name(clock, phase):
    failed = failure([lane(), lane(phase, passing(clock, 9))], Limits(phase_seconds=5))
    assert failed.lane == 1 and f"The {phase} took more than" in failed.failure.reason


def test_decode_is_timed_over_all_its_tokens(clock):
    def talking():
        yield from (Phase(name, 0.0, 0, 0) for name in PHASES[:-1])
        while True:
            clock[0] += 1
            yield "word"

    failed = failure([talking(), talking()], Limits(phase_seconds=5))
    assert "The decode took more than" in failed.failure.reason


def test_a_comparison_that_takes_too_long_ends_with_its_partial_results(clock):
    failed = failure([lane("encode", passing(clock, 9))], Limits(job_seconds=5))
    assert "The comparison took more than the 5 s" in failed.failure.reason


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_a_lane_that_runs_out_of_memory_reports_it(error):
    def fail():
        raise error

    failed = failure([lane("prefill", fail)])
    assert "ran out of memory" in failed.failure.reason


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(local, "load", lambda *_: tiny_llava())


def spoil(monkeypatch, at, do):
    """Call `do` in the lane of "random" instead of phase `at`, in jobs, not in warm-ups."""

    def run(adapter, media, question, method, **options):
        steps = run_lane(adapter, media, question, method, **options)
        for name, step in zip((*PHASES[:-1], *["decode"] * 10_000), steps, strict=False):
            if method.name == "random" and name == at and options["max_new_tokens"] > 2:
                do(step)
            yield step

    monkeypatch.setattr(local, "run_lane", run)


@pytest.mark.parametrize("phase", PHASES)
def test_out_of_memory_in_one_lane_frees_its_memory_and_the_other_finishes(
    tiny, monkeypatch, phase
):
    held = []

    def fall_over(step):
        big = torch.zeros(1000)
        held.append(weakref.ref(big))
        raise torch.OutOfMemoryError("out of memory")

    spoil(monkeypatch, phase, fall_over)
    monkeypatch.setattr(lane_scheduler.log, "disabled", True)  # pytest keeps logged tensors
    worker = LocalWorker()
    *_, last = worker.run(job())
    ran, failed = last.comparison.lanes
    assert isinstance(ran, LaneResult) and "ran out of memory" in failed.reason
    assert len(held) == 1 and held[0]() is None


@pytest.mark.parametrize("phase", PHASES)
def test_stop_ends_a_lane_in_any_phase_and_the_next_job_runs(tiny, monkeypatch, phase):
    cancelled, begun, after = threading.Event(), threading.Event(), []

    def wait_for_stop(step):
        if begun.is_set():
            after.append(step)
        begun.set()
        cancelled.wait(60)

    worker = LocalWorker()
    with monkeypatch.context() as patched:
        spoil(patched, phase, wait_for_stop)
        events_seen = []
        running = threading.Thread(
            target=lambda: events_seen.extend(worker.run(job("vanilla", "random"), cancelled))
        )
        running.start()
        assert begun.wait(60)
        cancelled.set()
        running.join(60)
        assert not running.is_alive()
    *_, last = worker.run(job("vanilla", "random"))
    assert all(isinstance(one, LaneResult) for one in last.comparison.lanes)
    assert not after, "the stopped lane took no further step"
    assert not any(isinstance(event, ComparisonDone) for event in events_seen)


def test_a_step_that_never_ends_is_given_up_and_the_worker_reports_itself_stuck(tiny, monkeypatch):
    free = threading.Event()
    spoil(monkeypatch, "prefill", lambda step: free.wait(60))
    worker = LocalWorker()
    worker.limits = Limits(phase_seconds=0.5)
    with pytest.raises(ValueError, match="more than 1 s and was given up"):
        list(worker.run(job()))
    with pytest.raises(ValueError, match="Try again in some minutes"):
        list(worker.run(job()))
    assert not worker.health().fit
    free.set()
    wait_until(lambda: worker.health().fit)
    worker.limits = Limits()
    assert isinstance(list(worker.run(job("vanilla")))[-1], ComparisonDone)


def test_a_model_that_never_loads_is_given_up_and_the_worker_reports_itself_stuck(monkeypatch):
    free = threading.Event()
    monkeypatch.setattr(local, "load", lambda *_: free.wait(60) and tiny_llava())
    worker = LocalWorker(Settings(load_seconds=1))
    worker.preload()
    wait_until(lambda: not worker.health().fit)
    with pytest.raises(ValueError, match="more than 1 s and was given up"):
        list(worker.run(job()))
    free.set()
    wait_until(lambda: worker.health().fit)


def test_lanes_that_share_the_device_one_at_a_time_end_one_after_the_other():
    asked = replace(job(*["vanilla"] * 3), at_once=1)
    events = list(advance([lane(), lane(), lane()], asked, threading.Event(), Limits()))
    assert [event.lane for event in events] == sorted(event.lane for event in events)


def test_lanes_that_do_not_fit_together_run_one_after_another_and_the_status_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "load", lambda *_: tiny_llava())
    asked = []

    def fit(name: str, adapter: object, tokens: int, lanes: int) -> int:
        asked.append((tokens, lanes))
        return 1

    monkeypatch.setattr(local.memory, "lanes_at_once", fit)
    events = list(LocalWorker().run(job("vanilla", "random")))
    assert asked == [(36, 2)], "for this upload, before any lane is encoded"
    notes = [event.text for event in events if isinstance(event, Notice)]
    assert notes[0] == "Loading a." and notes[-1] == "1 of 2 lanes run at once: no more fit."
    steps = [event.lane for event in events if isinstance(event, PhaseDone | LaneDone)]
    assert steps == sorted(steps) and set(steps) == {0, 1}
    assert isinstance(events[-1], ComparisonDone)


def test_a_job_of_which_no_lane_fits_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "load", lambda *_: tiny_llava())
    monkeypatch.setattr(local.memory, "free", lambda device: 1000)
    with pytest.raises(ValueError, match=r"36 visual tokens need .* choose a smaller picture"):
        list(LocalWorker().run(job("vanilla", "random")))
