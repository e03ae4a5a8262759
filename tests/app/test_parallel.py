"""The lanes of a job run on several devices in parallel and make one comparison."""

from __future__ import annotations

import threading

import pytest

from app.settings import Settings
from app.worker import local
from app.worker.events import ComparisonDone, LaneDone, LaneStarted, Queued
from app.worker.job_queue import QueuedWorker
from app.worker.parallel import ParallelWorker
from app.worker.protocol import Health, Job
from app.worker.start import local_worker
from models.engine.pipeline import run_lane
from pruning.methods import create
from tests.app.fake_worker import FakeWorker
from tests.tiny import picture, tiny_llava

pytestmark = pytest.mark.slow

METHODS = ("vanilla", "random", "grid", "pooling", "visionzip")


def job(count=5, **changes):
    methods = tuple(create(name) for name in METHODS[:count])
    return Job("a", picture(), "What is this?", methods, **{"max_new_tokens": 3} | changes)


@pytest.fixture
def devices(monkeypatch):
    """Two devices, both the CPU, and the methods that each thread ran."""
    stepped = {}

    def run(adapter, media, question, method, **options):
        for step in run_lane(adapter, media, question, method, **options):
            stepped.setdefault(threading.current_thread().ident, set()).add(method.name)
            yield step

    adapter = tiny_llava()  # shared: two threads would draw from one seed
    monkeypatch.setattr(local, "load", lambda *_: adapter)
    monkeypatch.setattr(local, "run_lane", run)
    return local_worker(Settings(device="cpu,cpu")), stepped


def test_lanes_are_distributed_over_the_devices_each_owned_by_one_thread(devices):
    worker, stepped = devices
    list(worker.run(job()))
    assert sorted(stepped.values(), key=len) == [
        {"random", "pooling"},
        {"vanilla", "grid", "visionzip"},
    ]


def test_the_comparison_has_every_lane_in_its_place(devices):
    worker, _ = devices
    *events, last = worker.run(job())
    assert [lane.method for lane in last.comparison.lanes] == list(METHODS)
    done = {event.lane: event.result.method for event in events if isinstance(event, LaneDone)}
    assert done == dict(enumerate(METHODS))


def test_two_devices_answer_what_one_does(devices):
    *_, spread = devices[0].run(job())
    *_, alone = local_worker(Settings(device="cpu")).run(job())
    for one, other in zip(spread.comparison.lanes, alone.comparison.lanes, strict=True):
        assert one.answer == other.answer and one.kv_bytes == other.kv_bytes


def test_devices_work_at_the_same_time():
    """Each lane waits for the start of the other."""
    both = threading.Barrier(2, timeout=60)

    class MeetingWorker(FakeWorker):
        def run(self, job, cancelled=None):
            both.wait()
            yield from super().run(job, cancelled)

    worker = ParallelWorker([MeetingWorker(), MeetingWorker()])
    assert isinstance(list(worker.run(job(2)))[-1], ComparisonDone)


def test_a_device_without_a_lane_is_left_alone():
    workers = [FakeWorker(), FakeWorker()]
    events = list(ParallelWorker(workers).run(job(1)))
    assert [len(worker.jobs) for worker in workers] == [1, 0]
    assert [event.lane for event in events if isinstance(event, LaneStarted)] == [0]


def test_cancelling_stops_every_device(devices):
    worker, _ = devices
    cancelled = threading.Event()
    for event in worker.run(job(max_new_tokens=100_000), cancelled):
        if isinstance(event, LaneStarted):
            cancelled.set()
    assert isinstance(list(worker.run(job()))[-1], ComparisonDone)


def test_a_device_that_breaks_ends_the_job_on_all():
    class BrokenWorker(FakeWorker):
        def run(self, job, cancelled=None):
            raise RuntimeError("lost")
            yield

    other = FakeWorker(pause=0.05)
    with pytest.raises(RuntimeError, match="lost"):
        list(ParallelWorker([other, BrokenWorker()]).run(job(2)))
    assert other.cancelled[0].is_set()


def test_a_queue_before_several_devices_estimates_the_wait():
    queue = QueuedWorker(ParallelWorker([FakeWorker(), FakeWorker()]), Settings())
    list(queue.run(job()))
    running = queue.run(job())
    assert next(running) == Queued(0)
    waiting = next(queue.run(job()))
    running.close()
    assert waiting.ahead == 1 and waiting.seconds > 0


def test_devices_with_the_same_failure_report_it_once():
    class StuckWorker(FakeWorker):
        def health(self):
            return Health("A step takes too long.", device_bytes=3)

    one, other = StuckWorker(), StuckWorker()
    assert ParallelWorker([one, other]).health() == Health("A step takes too long.", 6)
    assert ParallelWorker([one, one]).health() == one.health()
