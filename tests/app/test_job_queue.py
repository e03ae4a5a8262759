"""The queue before a worker: bounded, in order, fair, and with the position of each job."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import pytest

from app.page.handlers import describe_wait
from app.settings import Settings
from app.worker.events import ComparisonDone, Queued
from app.worker.job_queue import QueuedWorker, RefusedError
from app.worker.protocol import Job
from models.uploads.media import MediaError
from pruning.methods import create
from tests.app.fake_worker import FakeWorker, wait_until
from tests.tiny import picture


class HeldWorker(FakeWorker):
    """Ends no job before `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def run(self, job, cancelled=None):
        yield from super().run(job, cancelled)
        while not (self.go_on.wait(0.01) or cancelled.is_set()):
            pass


@pytest.fixture
def held():
    worker = HeldWorker()
    yield worker
    worker.go_on.set()


def job(visitor=""):
    return Job("a", picture(), "?", (create("vanilla"),), visitor=visitor)


def start(worker, asked, events):
    """Run a job in a thread that appends its events to `events`."""
    cancelled = threading.Event()

    def listen():
        events.extend(worker.run(asked, cancelled))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    return thread, cancelled


def fill(worker, held, count):
    """Start one job that runs and `count` that wait."""
    begun = []
    for number in range(count + 1):
        begun.append(start(worker, job(), []))
        wait_until(lambda: worker.waiting == number and len(held.jobs) == 1)  # noqa: B023
    return begun


def test_jobs_run_one_after_another_in_the_order_in_which_they_came(held):
    worker = QueuedWorker(held, Settings())
    asked = [job(f"visitor {number}") for number in range(5)]
    begun = []
    for number, one in enumerate(asked):
        begun.append(start(worker, one, [])[0])
        wait_until(lambda: worker.waiting == number)  # noqa: B023
    assert held.jobs == asked[:1], "the others wait"
    held.go_on.set()
    for thread in begun:
        thread.join(60)
    assert held.jobs == asked


def test_as_many_jobs_run_at_once_as_the_worker_takes(held):
    worker = QueuedWorker(held, Settings(), at_once=2)
    for _ in range(3):
        start(worker, job(), [])
    wait_until(lambda: len(held.jobs) == 2 and worker.waiting == 1)


def test_a_waiting_job_gets_its_position_at_each_change(held):
    worker = QueuedWorker(held, Settings())
    first, second = fill(worker, held, 1)
    events = []
    last, _ = start(worker, job(), events)
    wait_until(lambda: events == [Queued(2, None)])
    second[1].set()
    wait_until(lambda: len(events) == 2)
    held.go_on.set()
    last.join(60)
    positions = [event.ahead for event in events if isinstance(event, Queued)]
    assert positions == [2, 1, 0] and isinstance(events[-1], ComparisonDone)
    first[0].join(60)


def test_the_estimate_is_the_mean_of_the_last_jobs(held):
    worker = QueuedWorker(FakeWorker(pause=0.02), Settings())
    list(worker.run(job()))
    worker.worker = held
    fill(worker, held, 2)
    with closing(worker.run(job())) as waiting:
        queued = next(waiting)
    assert queued.ahead == 3 and queued.seconds == pytest.approx(3 * worker._took[0])


def test_a_full_queue_names_the_number_ahead_and_the_time_to_retry(held):
    worker = QueuedWorker(FakeWorker(pause=0.01), Settings(queue_size=2))
    list(worker.run(job()))
    worker.worker = held
    fill(worker, held, 2)
    with pytest.raises(RefusedError, match=r"full: 3 ahead. Try again in about \d+ s"):
        next(worker.run(job()))
    assert worker.waiting == 2


def test_one_visitor_cannot_fill_the_queue(held):
    worker = QueuedWorker(held, Settings(visitor_jobs=2))
    for _ in range(2):
        start(worker, job("greedy"), [])
    wait_until(lambda: worker.waiting == 1)
    with pytest.raises(RefusedError, match="You have 2 comparisons under way"):
        next(worker.run(job("greedy")))
    with closing(worker.run(job("another"))) as stream:
        assert next(stream).ahead == 2


def test_one_address_cannot_fill_the_queue_with_new_session_names():
    worker = QueuedWorker(FakeWorker(), Settings(queue_size=20, address_jobs=3))
    with ExitStack() as places:
        for number in range(3):
            places.enter_context(worker.admit(f"name {number}", "192.0.2.1"))
        with pytest.raises(RefusedError, match="address or login has 3 comparisons under way"):
            places.enter_context(worker.admit("name 4", "192.0.2.1"))
        for number in range(4):
            places.enter_context(worker.admit(f"own {number}"))  # this program's own jobs
        places.enter_context(worker.admit("somebody else", "192.0.2.2"))


def test_without_a_limit_one_address_has_the_queue():
    worker = QueuedWorker(FakeWorker(), Settings(address_jobs=0))
    with ExitStack() as places:
        for number in range(Settings().queue_size):
            places.enter_context(worker.admit(f"name {number}", "192.0.2.1"))
        assert worker.waiting == Settings().queue_size


def test_a_job_that_is_cancelled_while_it_waits_leaves_its_place(held):
    worker = QueuedWorker(held, Settings())
    running, waiting = fill(worker, held, 1)
    waiting[1].set()
    waiting[0].join(60)
    assert not waiting[0].is_alive() and worker.waiting == 0 and len(held.jobs) == 1
    running[1].set()
    running[0].join(60)
    assert isinstance(_last(worker, held), ComparisonDone)


def test_a_stream_that_is_closed_leaves_its_place(held):
    worker = QueuedWorker(held, Settings())
    stream = worker.run(job())
    assert next(stream) == Queued(0) and next(stream)
    stream.close()
    assert isinstance(_last(worker, held), ComparisonDone)


def test_a_job_that_fails_leaves_its_place():
    class BrokenWorker(FakeWorker):
        def run(self, job, cancelled=None):
            raise RuntimeError
            yield

    worker = QueuedWorker(BrokenWorker(), Settings())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            list(worker.run(job()))


def test_a_job_whose_upload_is_read_has_a_place_and_delays_no_other():
    worker = QueuedWorker(FakeWorker(), Settings(visitor_jobs=1))
    with worker.admit("slow") as run:
        assert worker.waiting == 1
        with closing(worker.run(job("quick"))) as stream:
            assert next(stream) == Queued(0)
        with pytest.raises(RefusedError, match="You have 1 comparisons"), worker.admit("slow"):
            pass
        assert isinstance(list(run(job("slow")))[-1], ComparisonDone)
        with closing(worker.run(job("slow"))) as stream:
            assert next(stream) == Queued(0), "what is done with the answer keeps nobody waiting"
    with pytest.raises(MediaError), worker.admit("slow"):
        raise MediaError
    assert worker.waiting == 0, "a reading that was refused leaves its place"


def test_a_stopped_job_does_not_change_the_estimate():
    worker, cancelled = QueuedWorker(FakeWorker(), Settings()), threading.Event()
    for _ in worker.run(job(), cancelled):
        cancelled.set()
    assert worker.worker.jobs == [], "it was stopped as it waited"
    cancelled.clear()
    for event in worker.run(job(), cancelled):
        if not isinstance(event, Queued):
            cancelled.set()
    assert len(worker.worker.jobs) == 1 and not worker._took


@pytest.mark.parametrize(
    ("queued", "sentence"),
    [
        (Queued(0), "Comparing."),
        (Queued(3), "Waiting: 3 ahead."),
        (Queued(3, 11.2), "Waiting: 3 ahead, about 12 s."),
    ],
)
def test_the_status_line_has_the_position(queued, sentence):
    assert describe_wait(queued) == sentence


def _last(worker, held):
    held.go_on.set()
    *_, last = worker.run(job())
    return last
