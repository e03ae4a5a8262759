"""A visitor who leaves cancels their jobs; `make load` simulates many visitors."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client, handle_file

from app.guard.visitors import Visitors, client_key, is_local
from app.measure import crowd as load
from app.settings import Settings
from app.worker.job_queue import QueuedWorker
from app.worker.start import start_worker
from tests.app.browser import served
from tests.app.fake_worker import FakeWorker, wait_until

SECONDS = 60  # that a cancelled job may take on a busy machine; alone it takes one or two


def test_a_visitor_who_leaves_cancels_their_own_jobs_only():
    visitors = Visitors()
    with visitors.job("one") as first, visitors.job("one") as second, visitors.job("two") as other:
        visitors.on_unload(SimpleNamespace(session_hash="one"))
        assert first.is_set() and second.is_set() and not other.is_set()
    visitors.on_unload(SimpleNamespace(session_hash="one"))
    assert not visitors._jobs, "nothing is stored of a visitor who left"


def test_a_job_is_cancelled_when_its_handler_raises():
    visitors = Visitors()
    with pytest.raises(RuntimeError), visitors.job("one") as cancelled:
        raise RuntimeError
    assert cancelled.is_set() and not visitors._jobs


@pytest.fixture(scope="module")
def endless_page():
    worker = FakeWorker(answer=lambda name: "word " * 5000, pause=0.05)
    with served(worker) as url:
        yield worker, url


@pytest.fixture
def endless(endless_page):
    """A page whose jobs do not end by themselves: its worker and its address."""
    worker, url = endless_page
    yield worker, url
    for cancelled in worker.cancelled:
        cancelled.set()
    worker.jobs.clear()
    worker.cancelled.clear()


def test_a_closed_tab_stops_its_job(endless, picture):
    worker, url = endless
    client = Client(url, verbose=False)
    client.submit(handle_file(picture), "Where is it?", api_name="/compare")
    wait_until(lambda: worker.jobs)
    with httpx.stream("GET", f"{url}gradio_api/heartbeat/{client.session_hash}") as tab:
        lines = tab.iter_lines()  # kept: an iterator that is dropped closes the stream
        assert next(lines)
        assert not worker.cancelled[0].is_set()
    assert worker.cancelled[0].wait(SECONDS)


@pytest.mark.parametrize("names", [("mine", "another's"), (None, None)], ids=["named", "unnamed"])
def test_a_program_that_closes_its_stream_stops_its_own_job_only(endless, picture, names):
    worker, url = endless
    call = f"{url}gradio_api/call/compare"
    jobs = [
        {"data": arguments(picture), **({"session_hash": name} if name else {})} for name in names
    ]
    closing, other = [httpx.post(call, json=job).json()["event_id"] for job in jobs]
    wait_until(lambda: len(worker.jobs) == 2)
    first = [job.visitor for job in worker.jobs].index(names[0] or closing)
    with httpx.stream("GET", f"{call}/{other}") as stays:
        lines = stays.iter_lines()
        assert next(lines)
        with httpx.stream("GET", f"{call}/{closing}") as closes:
            closing_lines = closes.iter_lines()
            assert next(closing_lines)
            assert not worker.cancelled[first].is_set()
        assert worker.cancelled[first].wait(SECONDS)
        assert not worker.cancelled[1 - first].is_set()


def arguments(picture) -> list:
    """The arguments of `/compare`, with the picture as data."""
    data = b64encode(Path(picture).read_bytes()).decode()
    upload = {"url": f"data:image/png;base64,{data}"}
    return [upload, "Where is it?", "", None, 0.5, 64, 0, 0, "published", None, "", False, False]


@pytest.fixture
def queue(monkeypatch):
    """A page whose one job does not end, behind a trusted proxy."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    settings = Settings(address_jobs=4, max_requests_per_minute=0)
    held = QueuedWorker(FakeWorker(answer=lambda name: "word " * 5000, pause=0.05), settings)
    with served(held, settings) as url:
        yield held, f"{url}gradio_api/call/compare"
        for cancelled in held.worker.cancelled:
            cancelled.set()


def ask_as(client, address, call, picture) -> str:
    headers, asked = {"X-Forwarded-For": address}, {"data": arguments(picture)}
    return client.post(call, json=asked, headers=headers).json()["event_id"]


def test_twenty_jobs_of_one_program_leave_room_for_another(queue, picture):
    held, call = queue
    with httpx.Client(timeout=60) as client:
        asked = [ask_as(client, "192.0.2.1", call, picture) for _ in range(20)]
        wait_until(lambda: held.waiting == 3)  # and one runs
        answer = client.get(f"{call}/{asked[-1]}")
        assert "Your address or login has 4" in answer.text
        ask_as(client, "192.0.2.2", call, picture)
        wait_until(lambda: held.waiting == 4)


@pytest.mark.parametrize(
    ("username", "host", "counted"),
    [
        ("ann", "192.0.2.1", "login ann"),
        (None, "192.0.2.1", "192.0.2.1"),
        (None, "2001:db8::1:2:3:4", "2001:db8::/64"),
        (None, None, ""),
    ],
)
def test_a_client_is_a_login_or_else_a_network(username, host, counted):
    client = SimpleNamespace(host=host) if host else None
    assert client_key(SimpleNamespace(username=username, client=client)) == counted


def test_an_unknown_worker_is_refused_with_the_accepted_ones():
    with pytest.raises(ValueError, match="TOKENSCOPE_WORKER is 'slurm', wanted local, ray or zero"):
        start_worker(Settings(worker="slurm"))


def saying(*said):
    """A visitor who gets one answer or error after another."""
    heard = iter(said)

    def ask(_):
        if isinstance(one := next(heard), Exception):
            raise one
        return [one]

    return ask


QUESTION = ("scene-1.png", "?")


def test_a_refused_visitor_retries_after_the_suggested_time(monkeypatch):
    slept, made = [], load.Visit()
    monkeypatch.setattr(load.time, "sleep", slept.append)
    full = ValueError("The queue is full: 17 ahead. Try again in about 3 s.")
    assert load.ask_with_retries(saying(full, "a cat"), QUESTION, made) == ["a cat"]
    assert slept == [3] and made.refusals == 1


def test_a_wrong_or_lost_answer_is_counted(monkeypatch):
    clock = iter([0, 1, 1, 1, 2, 2, 3, 3, 9, 9, 9])  # the time is over after three questions
    monkeypatch.setattr(load.time, "monotonic", lambda: next(clock))
    made = load.visit(saying("a cat", "a dog", ConnectionError("gone")), 5, QUESTION, ["a cat"])
    assert len(made.waits) == 1
    assert made.wrong == [
        "? ['a dog'], wanted ['a cat']",
        "? ConnectionError: gone, wanted ['a cat']",
    ]


def test_a_program_and_a_page_get_the_same_answers(endless, picture, monkeypatch):
    worker, url = endless
    monkeypatch.setattr(load, "EXAMPLES", Path(picture).parent)
    monkeypatch.setattr(worker, "answer", lambda name: f"<b>{name}</b>  & more")
    monkeypatch.setattr(worker, "pause", 0)
    question = (Path(picture).name, "Where is it?")
    page, program = load.page(url), load.program(url)
    answers = ["<b>vanilla</b> & more", "<b>visionzip</b> & more"]
    assert page(question) == program(question) == answers
    with pytest.raises(RuntimeError, match="question is empty"):
        page((question[0], " "))


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
def test_a_server_that_leaks_or_loses_answers_is_reported(visits, megabytes, queue, complaint):
    report = load.report(
        visits, gauged([50] * load.WARM + megabytes, queue), Settings(queue_size=16)
    )
    found = load.complaints(report)
    assert (complaint in found[0] and len(found) == 1) if complaint else not found
    told = load.table(report | {"visitors": 1, "seconds": 1})
    assert all(wrong in told for visit in visits for wrong in visit.wrong)
    assert "100, 10" in told or len(megabytes) == 1


@pytest.mark.security
@pytest.mark.parametrize(
    ("host", "headers", "local"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"Host": "[::1]:7860"}, True),
        ("127.0.0.1", {"Host": "127.0.0.1:7860"}, True),
        ("192.0.2.1", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),  # a visitor can write it
        ("127.0.0.1", {"Host": "tunnel.example"}, False),  # or a foreign name for this machine
        ("127.0.0.1", {"Host": ""}, False),
        ("testclient", {}, False),
        (None, {}, False),
    ],
)
def test_only_a_request_of_this_machine_without_a_proxy_is_local(host, headers, local):
    client = SimpleNamespace(host=host) if host else None
    asked = httpx.Headers({"Host": "localhost:7860"} | headers)
    assert is_local(SimpleNamespace(client=client, headers=asked)) == local
