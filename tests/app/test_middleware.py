"""What the page's server refuses before Gradio sees it, and how it is launched in public."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from select import select
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file

from app.guard.middleware import GuardMiddleware
from app.guard.rate_limit import MAX_CLIENTS, RateLimit, client_network
from app.page.build import build, launch
from app.settings import ROOT, Settings
from tests.app.asking import QUESTION
from tests.app.fake_worker import FakeWorker, wait_until
from tests.deploy.ports import free_port

pytestmark = pytest.mark.security


class Server:
    """The page served on a made-up worker."""

    def __init__(self, settings: Settings, worker: FakeWorker | None = None) -> None:
        self.demo = build(worker or FakeWorker(), settings)
        self.app, self.url, _ = launch(self.demo, settings, prevent_thread_lock=True, quiet=True)

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Status and body of an answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


@pytest.fixture(scope="module")
def server():
    served = Server(Settings(max_upload_mb=1))
    yield served
    served.demo.close()


@pytest.mark.parametrize(
    "path",
    [
        "file=http://192.0.2.1/x.png",
        "file=https://192.0.2.1/x.png",
        "file=HTTP://192.0.2.1/x.png",
        "file=%68ttp%3A//192.0.2.1/x.png",
        "file/http://192.0.2.1/x.png",
        "proxy=http://192.0.2.1/x.png",
        "deep_link?session_hash=a",
        "stream/a/b/1/playlist.m3u8",
        "runs",
    ],
)
def test_a_route_that_fetches_or_keeps_is_closed(server, path):
    status, body = server.ask(f"gradio_api/{path}")
    assert (status, json.loads(body)["detail"]) == (403, "This address is closed here.")


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../etc/passwd", "README.md", "app/settings.py", ".git/config", "%00"],
)
def test_a_file_that_the_page_does_not_show_is_not_served(server, path):
    status, body = server.ask(f"gradio_api/file={path}")
    assert status in (403, 404) and "root:" not in body and "Settings" not in body


META = {"meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("described", [{}, META], ids=["as nothing", "as a file"])
@pytest.mark.parametrize("named", ["{}", "{upload}/../../../..{}", "./README.md", "\x00"])
def test_a_file_that_was_not_uploaded_is_not_read(server, picture, described, named):
    path = named.format(picture, upload=get_upload_folder())
    data = [{"path": path, **described}, QUESTION, "", None, 0.5, 64, 0, 0, "published", None]
    body = json.dumps({"data": data}).encode()
    kind = {"content_type": "application/json"}
    _, told = server.ask("gradio_api/call/compare", body, **kind)
    _, events = server.ask(f"gradio_api/call/compare/{json.loads(told)['event_id']}")
    assert "event: error" in events
    assert "not an uploaded file" in events or "files that were uploaded here" in events


@pytest.mark.parametrize("name", ["call/predict", "run/%00", "call/gone"])
def test_a_function_that_is_not_there_is_told_so(server, name):
    status, body = server.ask(f"gradio_api/{name}", b'{"data": []}', content_type=JSON)
    assert (status, "There is no function of this name" in body) == (404, True)


JSON = "application/json"


def test_a_program_that_sends_too_little_is_told_what_to_send(server):
    kind = {"content_type": "application/json"}
    _, told = server.ask("gradio_api/call/compare", b'{"data": [null]}', **kind)
    _, events = server.ask(f"gradio_api/call/compare/{json.loads(told)['event_id']}")
    assert "Send the arguments that /gradio_api/info describes" in events


def test_a_run_is_not_monitored_recorded_or_started_beside_the_queue(server):
    assert "cpu" not in server.ask("monitoring")[1]
    config = json.loads(server.ask("config")[1])
    assert not config.get("run_history") and not config["analytics_enabled"]
    body = json.dumps({"data": [None] * 10}).encode()
    assert server.ask("gradio_api/run/compare", body, content_type="application/json")[0] == 404


@pytest.mark.parametrize("route", ["run/predict", "api/predict", "queue/join"])
def test_a_number_of_no_function_is_answered_with_a_sentence(server, route):
    asked = json.dumps({"data": [], "fn_index": 99, "session_hash": "a"}).encode()
    status, body = server.ask(f"gradio_api/{route}", asked, content_type="application/json")
    assert status < 500 and body, "and no error of the server's own"


def test_a_request_larger_than_an_upload_may_be_is_refused_unread(server):
    for path in ("gradio_api/upload", "gradio_api/call/compare", "gradio_api/queue/join"):
        answer = heads_only(server, path, "Content-Length", "1200000")
        assert answer.status == 413 and "larger than 1 MB" in answer.read().decode()


def test_a_refused_upload_is_answered_as_the_page_shows_it_and_a_program_as_it_reads_it(server):
    size = ("Content-Length", "1200000")
    sentence = "The upload is larger than 1 MB. Save it smaller."
    assert heads_only(server, "gradio_api/upload", *size).read().decode() == sentence
    answer = heads_only(server, "gradio_api/call/compare", *size)
    assert json.loads(answer.read()) == {"detail": sentence, "error": sentence}


def test_a_request_that_hides_its_length_is_refused(server):
    answer = heads_only(server, "gradio_api/upload", "Transfer-Encoding", "chunked")
    assert answer.status == 411 and "Content-Length" in answer.read().decode()


def test_an_address_with_a_control_character_is_refused_with_a_sentence(server):
    for path in ("%0aconfig", "gradio_api/file=%7f"):
        status, body = server.ask(path, b"{}")
        assert status == 404 and "control character" in body
    asked = json.dumps({"data": [], "fn_index": 0, "session_hash": "a"}).encode()
    status, body = server.ask("gradio_api/run/%00", asked, content_type="application/json")
    assert status == 404 and "no function of this name" in body


def heads_only(server: Server, path: str, name: str, value: str) -> HTTPResponse:
    """The answer to a request of which not a byte of the body is sent."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.putrequest("POST", f"/{path}")
    connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_every_answer_forbids_what_could_carry_something_away(server):
    with urllib.request.urlopen(server.url) as answer:
        policy = dict(part.split(" ", 1) for part in answer.headers[POLICY].split("; "))
        assert "'self'" in policy.pop("default-src")
        assert not re.search(r"[*.]|https?:|wss?:", answer.headers[POLICY]), "no other host"
        assert policy == {"object-src": "'none'", "base-uri": "'self'", "form-action": "'self'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


POLICY = "Content-Security-Policy"


def test_too_many_requests_of_one_address_are_told_to_wait_and_looking_is_free(picture):
    served = Server(Settings(max_requests_per_minute=3))
    try:
        statuses = [served.ask("gradio_api/upload", b"x")[0] for _ in range(5)]
        assert 429 not in statuses[:3] and statuses[3:] == [429, 429]
        assert served.ask("")[0] == 200 and served.ask("config")[0] == 200
        assert "Try again in" in served.ask("gradio_api/call/compare", b"{}")[1]
    finally:
        served.demo.close()


def test_a_rate_lets_a_minutes_worth_through_at_once_and_then_one_after_another():
    now = [0.0]
    rate = RateLimit(6, clock=lambda: now[0])
    assert [rate.take("a") for _ in range(6)] == [0] * 6
    assert rate.take("a") == pytest.approx(10) and rate.take("b") == 0
    now[0] = 10.5
    assert rate.take("a") == 0 and rate.take("a") > 9
    now[0] = 1000
    assert [rate.take("a") for _ in range(6)] == [0] * 6, "no more than a minute is saved up"
    assert rate.take("a") > 0


@pytest.mark.parametrize("route", ["queue/join", "call/compare", "call/v2/compare", "upload"])
def test_every_route_that_costs_is_counted(route):
    served = Server(Settings(max_requests_per_minute=1))
    try:
        served.ask("gradio_api/upload", b"x")
        assert served.ask(f"gradio_api/{route}", b"{}", content_type=JSON)[0] == 429
    finally:
        served.demo.close()


def test_a_program_that_names_its_session_and_leaves_stops_its_own_job_and_no_other(picture):
    worker = FakeWorker(answer=lambda name: "word " * 2000, pause=0.05)
    served = Server(Settings(), worker)
    try:
        call = f"{served.url}gradio_api/call/compare"
        as_data = {"url": "data:image/png;base64," + b64encode(Path(picture).read_bytes()).decode()}
        data = [as_data, QUESTION, "", None, 0.5, 64, 0, 0, "published", None]
        asked = [{"data": data, "session_hash": name} for name in ("mine", "another's")]
        mine, _ = [httpx.post(call, json=one).json()["event_id"] for one in asked]
        wait_until(lambda: len(worker.jobs) == 2)
        first = [job.visitor for job in worker.jobs].index("mine")
        with httpx.stream("GET", f"{call}/{mine}") as answer:
            heard = answer.iter_lines()  # held: one that is dropped is closed
            assert next(heard)
            assert not worker.cancelled[first].is_set()
        assert worker.cancelled[first].wait(3), "gone within a second or two"
        assert not worker.cancelled[1 - first].is_set()
    finally:
        for cancelled in worker.cancelled:
            cancelled.set()
        served.demo.close()


def number(server: Server, name: str) -> int:
    """Of a function of the page."""
    return next(key for key, one in server.demo.fns.items() if one.name == name)


@pytest.fixture(scope="module")
def spent():
    """A page of which this address has asked all that it may in a minute."""
    served = Server(Settings(max_requests_per_minute=1))
    assert served.ask("gradio_api/upload", b"x")[0] != 429
    assert served.ask("gradio_api/upload", b"x")[0] == 429
    yield served
    served.demo.close()


def test_stop_is_answered_when_the_rate_is_spent(spent):
    told = {"data": [], "fn_index": number(spent, "stop"), "session_hash": "a"}
    status, body = spent.ask("gradio_api/run/predict", json.dumps(told).encode(), content_type=JSON)
    assert status == 200 and "Stopped" in body
    cancel = {"session_hash": "a", "fn_index": number(spent, "run"), "event_id": "none"}
    status, _ = spent.ask("gradio_api/cancel", json.dumps(cancel).encode(), content_type=JSON)
    assert status == 200


@pytest.mark.parametrize("route", ["run/x", "api/x", "component_server"])
def test_clicks_are_counted_too_and_ten_times_as_many_let_through(route):
    served = Server(Settings(max_requests_per_minute=1))
    try:
        statuses = [
            served.ask(f"gradio_api/{route}", b"{", content_type=JSON)[0] for _ in range(11)
        ]
        assert 429 not in statuses[:10] and statuses[10] == 429
    finally:
        served.demo.close()


def test_tabs_that_say_they_are_open_are_counted_as_clicks_are():
    served = Server(Settings(max_requests_per_minute=1))
    try:
        for number in range(10):
            with httpx.stream("GET", f"{served.url}gradio_api/heartbeat/{number}") as tab:
                assert tab.status_code == 200
        for method in ("GET", "HEAD"):
            with httpx.stream(method, f"{served.url}gradio_api/heartbeat/more") as tab:
                assert tab.status_code == 429
        assert served.ask("")[0] == 200, "to look is free"
    finally:
        served.demo.close()


@pytest.mark.parametrize("route", ["run", "api"])
def test_nothing_that_has_a_queue_runs_beside_it(server, route):
    queued = [(key, one.api_name) for key, one in server.demo.fns.items() if one.queue]
    assert len(queued) >= 5
    for key, name in queued:
        for told in ({"fn_index": key}, {}):
            asked = json.dumps({"data": [None] * 20, "session_hash": "a"} | told).encode()
            status, body = server.ask(f"gradio_api/{route}/{name}", asked, content_type=JSON)
            assert status == 404 and "join the queue" in body


async def at_the_door(path: str, error: Exception) -> int:
    """The status of its answer where what is behind it stumbles so."""
    sent = []

    async def app(scope, receive, send):
        raise error

    async def send(message):
        sent.append(message)

    door = GuardMiddleware(app, Settings(), functions={0: "a function"}, left=print)
    headers = [(b"content-length", b"2")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await door(scope, None, send)
    return sent[0]["status"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("queue/join", "a"),
        ("queue/join", 0),
        ("call/v2/compare", "/other"),
        ("run/predict", "predict"),
        ("upload", 99),
        ("component_server", 99),
    ],
)
def test_a_fault_of_ours_is_not_taken_for_a_name_that_is_not_there(path, key):
    with pytest.raises(KeyError):
        asyncio.run(at_the_door(f"/gradio_api/{path}", KeyError(key)))


@pytest.mark.parametrize(
    ("path", "key"), [("queue/join", 99), ("run/predict", 99), ("call/v2/gone", "/gone")]
)
def test_a_number_or_name_that_is_not_there_is_no_fault(path, key):
    assert asyncio.run(at_the_door(f"/gradio_api/{path}", KeyError(key))) == 404


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.2", "192.0.2.2"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
    ],
)
def test_addresses_of_one_ipv6_64_share_a_rate(address, network):
    assert client_network(address) == network


@contextmanager
def space(**environment: str) -> Iterator[str]:
    """The address of a page that is started as a Space starts it."""
    port = free_port()
    settings = {"PORT": str(port), "TOKENSCOPE_MAX_REQUESTS_PER_MINUTE": "1"}
    kept = {name: text for name, text in os.environ.items() if name != "FORWARDED_ALLOW_IPS"}
    page = subprocess.Popen(
        [sys.executable, ROOT / "main.py"], env=kept | settings | environment, cwd=ROOT
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until(lambda: answers(url), seconds=60)
        yield url
    finally:
        page.terminate()
        page.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


PROXY = ("127.0.0.2", 0)  # not the address that uvicorn believes by itself


def test_each_visitor_of_a_space_has_a_rate_of_their_own():
    def upload(visitor: str) -> int:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=30, source_address=PROXY)
        headers = {"X-Forwarded-For": visitor, "Connection": "close"}
        connection.request("POST", "/gradio_api/upload", b"x", headers)
        return connection.getresponse().status

    with space(SPACE_ID="a/b") as url:
        assert upload("192.0.2.1") == 400
        assert upload("192.0.2.2") == 400
        assert upload("192.0.2.1") == 429


def test_a_rate_remembers_so_many_clients_and_no_more():
    rate = RateLimit(6, clock=lambda: 0.0)
    for client in range(MAX_CLIENTS + 10):
        rate.take(str(client))
    assert len(rate._spent) == MAX_CLIENTS
    assert RateLimit(0).take("a") == 0


def test_who_sets_users_is_asked_for_a_login(picture):
    served = Server(Settings(users="ann:secret, bob:more:colons"))
    try:
        assert served.ask("config")[0] == 401
        assert served.ask("gradio_api/upload", b"x")[0] == 401
        assert served.ask("login", b"username=ann&password=guess", **FORM)[0] == 400
        client = Client(served.url, auth=("bob", "more:colons"), verbose=False)
        assert client.predict(handle_file(picture), QUESTION, api_name="/compare")["lanes"]
    finally:
        served.demo.close()


FORM = {"content_type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("users", ["ann", "ann:", ":secret", "ann:secret,bob"])
def test_a_login_that_is_none_is_refused_without_saying_it(users):
    with pytest.raises(ValueError, match="wanted name:password") as refused:
        Settings(users=users).logins()
    assert "secret" not in str(refused.value)


def test_a_password_is_not_printed_with_the_settings(monkeypatch):
    monkeypatch.setenv("TOKENSCOPE_USERS", "ann:secret")
    settings = Settings.from_environment()
    assert settings.logins() == [("ann", "secret")] and "secret" not in repr(settings)


class Talkative(FakeWorker):
    def run(self, job, cancelled=None):
        raise RuntimeError("a secret path")
        yield


def test_an_error_that_is_not_for_strangers_is_not_shown_to_them(picture, caplog):
    served = Server(Settings(), Talkative())
    try:
        with (
            caplog.at_level(logging.CRITICAL),
            pytest.raises(Exception, match="internal error") as refused,
        ):
            Client(served.url, verbose=False).predict(
                handle_file(picture), QUESTION, api_name="/compare"
            )
        assert "secret" not in str(refused.value)
        assert served.demo.show_error is False
    finally:
        served.demo.close()


def test_an_upload_is_deleted_when_the_page_stops(picture):
    served = Server(Settings())
    Client(served.url, verbose=False).predict(handle_file(picture), QUESTION, api_name="/compare")
    uploaded = [Path(one) for one in served.demo.upload_file_set]
    assert uploaded and all(one.is_file() for one in uploaded)
    served.demo.close()
    assert not any(one.is_file() for one in uploaded)


def form(name: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """An upload's body and its kind."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    kind = {"content_type": "multipart/form-data; boundary=x"}
    return head.encode() + content + b"\r\n--x--\r\n", kind


EXAMPLES_MB = 2  # about, that a page puts into the folder itself


def test_a_full_folder_takes_no_upload_and_still_a_job(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    served = Server(Settings(max_stored_mb=EXAMPLES_MB + 1))
    try:
        body, kind = form("a.png", b"a" * 900_000)
        assert served.ask("gradio_api/upload", body, **kind)[0] == 200
        for route in ("upload", "queue/join", "call/compare", "run/predict"):
            answer = heads_only(served, f"gradio_api/{route}", "Content-Length", "1100000")
            assert answer.status == 507, "a file may come as data too"
            assert "full. Try again in some minutes" in answer.read().decode()
        for route in ("queue/join", "call/compare", "run/predict"):
            assert served.ask(f"gradio_api/{route}", b" " * 9_000, content_type=JSON)[0] == 422
        assert (tmp_path / "uploads").stat().st_mode & 0o777 == 0o700
    finally:
        served.demo.close()


@pytest.mark.parametrize("dribble", [b"", b"a"], ids=["stopped", "dribbling"])
@pytest.mark.parametrize("path", ["gradio_api/upload", "gradio_api/call/compare"])
def test_an_upload_that_does_not_come_is_ended_and_gives_its_room_back(
    tmp_path, monkeypatch, path, dribble
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setattr("app.guard.request_timeout.PAUSE", 1)
    monkeypatch.setattr("app.guard.folder_quota.OFTEN", 0)
    served = Server(Settings(max_stored_mb=EXAMPLES_MB + 1))
    body, kind = form("a.png", b"a" * 900_000)
    declared = {"content-length": str(len(body)), **kind}
    declared = {name.replace("_", "-"): value for name, value in declared.items()}
    try:
        with socket.create_connection(urlsplit(served.url).netloc.split(":"), timeout=10) as slow:
            slow.sendall(head(path, declared) + body[:1000])
            wait_until(lambda: served.ask("gradio_api/upload", body, **kind)[0] == 507)
            for _ in range(50):
                if select([slow], [], [], 0.1)[0]:
                    break
                slow.sendall(dribble)
            told = b"".join(iter(lambda: slow.recv(10_000), b"")).decode()
        assert told.startswith("HTTP/1.1 408") and "stopped coming, or came slower than" in told
        assert served.ask("gradio_api/upload", body, **kind)[0] == 200
    finally:
        served.demo.close()


def head(path: str, headers: dict[str, str]) -> bytes:
    """Of a request whose body is to come."""
    lines = [f"POST /{path} HTTP/1.1", "Host: x", *(": ".join(one) for one in headers.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def test_what_one_visitor_has_made_keeps_no_other_waiting():
    demo = build(FakeWorker(), Settings())
    queued = [
        one for one in demo.fns.values() if one.fn and one.queue and one.targets[0][1] != "unload"
    ]
    assert {one.concurrency_id for one in queued} == {"device", "files"}
    assert all(one.concurrency_limit > 1 for one in queued)


def test_the_page_says_what_may_be_uploaded_and_what_becomes_of_it():
    demo = build(FakeWorker(), Settings(max_upload_mb=7, max_clip_seconds=11))
    said = " ".join(str(one.value) for one in demo.blocks.values() if isinstance(one, gr.HTML))
    assert "at most 7 MB, 50 megapixels" in said and "at most 7 MB, 11 s" in said
    assert "deleted after an hour" in said
