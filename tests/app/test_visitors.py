"""Who leaves takes what is under way along; who comes meets the worker that is set."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client, handle_file

from app.guard.visitors import Visitors, address
from app.measure import crowd as load
from app.measure.tab import Tab, said_of
from app.page.build import build, launch
from app.settings import Settings
from app.worker.job_queue import QueuedWorker
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


@pytest.fixture
def queue(monkeypatch):
    """A page whose one job does not end, behind a proxy that it believes; its address."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    settings = Settings(address_jobs=4, max_requests_per_minute=0)
    held = QueuedWorker(FakeWorker(answer=lambda name: "word " * 5000, pause=0.05), settings)
    demo = build(held, settings)
    _, url, _ = launch(demo, settings, prevent_thread_lock=True, quiet=True, server_port=None)
    yield held, f"{url}gradio_api/call/compare"
    for cancelled in held.worker.cancelled:
        cancelled.set()
    demo.close()


def ask_as(address, call, picture) -> str:
    data = [as_data(picture), "Where is it?", "", None, 0.5, 64, 0, 0, "published", None]
    told = httpx.post(call, json={"data": data}, headers={"X-Forwarded-For": address})
    return told.json()["event_id"]


def test_a_program_that_asks_twenty_times_leaves_room_for_somebody_else(queue, picture):
    held, call = queue
    asked = [ask_as("192.0.2.1", call, picture) for _ in range(20)]
    wait_until(lambda: held.waiting == 3)  # and one runs
    with httpx.stream("GET", f"{call}/{asked[-1]}", timeout=5) as answer:
        assert "Your address or login has 4" in answer.read().decode()
    ask_as("192.0.2.2", call, picture)
    wait_until(lambda: held.waiting == 4)


def test_a_page_is_refused_its_third_comparison(queue, picture):
    held, call = queue
    tab = Tab(call.partition("gradio_api")[0])
    for number in range(2):
        tab.join(picture, "Where is it?", [])
        wait_until(lambda: held.waiting == number)  # noqa: B023
    tab.join(picture, "Where is it?", [])
    with pytest.raises(RuntimeError, match="You have 2 comparisons under way"):
        said_of(tab.values())


@pytest.mark.parametrize(
    ("username", "host", "counted"),
    [
        ("ann", "192.0.2.1", "login ann"),
        (None, "192.0.2.1", "192.0.2.1"),
        (None, "2001:db8::1:2:3:4", "2001:db8::/64"),
        (None, None, ""),
    ],
)
def test_a_visitor_is_who_logged_in_or_else_a_network(username, host, counted):
    client = SimpleNamespace(host=host) if host else None
    assert address(SimpleNamespace(username=username, client=client)) == counted


def test_a_worker_of_no_known_kind_is_one_sentence():
    with pytest.raises(ValueError, match="TOKENSCOPE_WORKER is 'slurm', wanted local, ray or zero"):
        start_worker(Settings(worker="slurm"))


def saying(*said):
    """Somebody who hears, or is refused by, one thing after another."""
    heard = iter(said)

    def ask(_):
        if isinstance(one := next(heard), Exception):
            raise one
        return [one]

    return ask


QUESTION = ("scene-1.png", "?")


def test_a_visitor_who_is_sent_away_comes_again_when_told(monkeypatch):
    slept, made = [], load.Visit()
    monkeypatch.setattr(load.time, "sleep", slept.append)
    full = ValueError("The queue is full: 17 ahead. Try again in about 3 s.")
    assert load.persistent(saying(full, "a cat"), QUESTION, made) == ["a cat"]
    assert slept == [3] and made.refusals == 1


def test_what_is_not_the_own_answer_is_counted_as_wrong(monkeypatch):
    clock = iter([0, 1, 1, 1, 2, 2, 3, 3, 9, 9, 9])  # the time is over after three questions
    monkeypatch.setattr(load.time, "monotonic", lambda: next(clock))
    made = load.visit(saying("a cat", "a dog", ConnectionError("gone")), 5, QUESTION, ["a cat"])
    assert len(made.waits) == 1
    assert made.wrong == [
        "? ['a dog'], wanted ['a cat']",
        "? ConnectionError: gone, wanted ['a cat']",
    ]


def test_a_program_and_a_page_are_told_the_same(picture, monkeypatch):
    monkeypatch.setattr(load, "EXAMPLES", Path(picture).parent)
    demo = build(FakeWorker(answer=lambda name: f"<b>{name}</b>  & more"), Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        question = (Path(picture).name, "Where is it?")
        page, program = load.page(url), load.program(url)
        assert (
            page(question)
            == program(question)
            == ["<b>vanilla</b> & more", "<b>visionzip</b> & more"]
        )
        with pytest.raises(RuntimeError, match="question is empty"):
            page((question[0], " "))
    finally:
        demo.close()


def gauged(megabytes, queue):
    gauge = load.Gauge(0, "")
    gauge.megabytes, gauge.queue = megabytes, queue
    return gauge


@pytest.mark.parametrize(
    ("visits", "megabytes", "queue", "complaint"),
    [
        ([load.Visit([1.0])], [100] * 60 + [104] * 60, [16], None),
        ([load.Visit([1.0])], [100] * 60 + [106] * 60, [16], "grew from 100 to 106 MB"),
        ([load.Visit([1.0])], [100], [3, 17, 3], "queue was 17 long, wanted 16"),
        ([load.Visit([1.0], wrong=["a dog"])], [100], [0], "1 answers were wrong or lost"),
        ([load.Visit([1.0]), load.Visit()], [100], [0], "1 visitors had no answer"),
    ],
)
def test_a_server_that_does_not_hold_is_complained_of(visits, megabytes, queue, complaint):
    report = load.report(
        visits, gauged([50] * load.WARM + megabytes, queue), Settings(queue_size=16)
    )
    found = load.complaints(report)
    assert (complaint in found[0] and len(found) == 1) if complaint else not found
    told = load.table(report | {"visitors": 1, "seconds": 1})
    assert all(wrong in told for visit in visits for wrong in visit.wrong)
    assert "100, 10" in told or len(megabytes) == 1
