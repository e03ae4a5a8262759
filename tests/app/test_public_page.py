"""The served page answers no request that a stranger should not send."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import pytest
from gradio_client import Client, handle_file

from app.guard.gradio_internals import upload_folder
from app.page.build import build, launch
from app.settings import ROOT, Settings
from tests.app.asking import QUESTION
from tests.app.fake_worker import FakeWorker, wait_until
from tests.deploy.ports import free_port

pytestmark = [pytest.mark.security, pytest.mark.slow]

JSON = {"content_type": "application/json"}
FORM = {"content_type": "application/x-www-form-urlencoded"}
META = {"meta": {"_type": "gradio.FileData"}}
POLICY = "Content-Security-Policy"


class Server:
    """The page, served with a fake worker."""

    def __init__(self, settings: Settings) -> None:
        self.worker = FakeWorker()
        self.demo = build(self.worker, settings)
        _, self.url, _ = launch(self.demo, settings, prevent_thread_lock=True, quiet=True)

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Status and body of an answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def events_of(self, data: list) -> str:
        """The event stream that a program gets for a call of `/compare`."""
        body = json.dumps({"data": data}).encode()
        _, answer = self.ask("gradio_api/call/compare", body, **JSON)
        return self.ask(f"gradio_api/call/compare/{json.loads(answer)['event_id']}")[1]


@pytest.fixture(scope="module")
def server():
    served = Server(Settings(max_upload_mb=1, max_requests_per_minute=0))
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


@pytest.mark.parametrize("described", [{}, META], ids=["as nothing", "as a file"])
@pytest.mark.parametrize("named", ["{}", "{upload}/../../../..{}", "./README.md", "\x00"])
def test_a_file_that_was_not_uploaded_is_not_read(server, picture, described, named):
    path = named.format(picture, upload=upload_folder())
    file = {"path": path, **described}
    numbers = [0.5, 64, 0, 0]  # ratio, new tokens, temperature and seed
    events = server.events_of(
        [file, QUESTION, "", None, *numbers, "published", None, "", False, False]
    )
    assert "event: error" in events
    assert "not an uploaded file" in events or "files that were uploaded here" in events


NUMBER = {"fn_index": 99, "session_hash": "a"}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, {}) for name in ("call/predict", "run/%00", "call/gone")),
        *((name, NUMBER) for name in ("run/predict", "api/predict", "queue/join")),
    ],
)
def test_an_unknown_function_is_answered_with_404_and_a_sentence(server, name, number):
    asked = json.dumps({"data": [], **number}).encode()
    status, body = server.ask(f"gradio_api/{name}", asked, **JSON)
    assert (status, "There is no function of this name" in body) == (404, True)


def test_a_program_that_sends_too_few_arguments_gets_a_sentence(server):
    assert "Send the arguments that /gradio_api/info describes" in server.events_of([None])


def test_a_run_is_not_monitored_recorded_or_started_beside_the_queue(server):
    assert "cpu" not in server.ask("monitoring")[1]
    config = json.loads(server.ask("config")[1])
    assert not config.get("run_history") and not config["analytics_enabled"]
    body = json.dumps({"data": [None] * 10}).encode()
    assert server.ask("gradio_api/run/compare", body, **JSON)[0] == 404


def test_a_request_larger_than_an_upload_may_be_is_refused_unread(server):
    """The page shows the text of a refused upload; a program reads JSON."""
    sentence = "The upload is larger than 1 MB. Save it smaller."
    for path in ("upload", "call/compare", "queue/join"):
        answer = heads_only(server, f"gradio_api/{path}", "Content-Length", "1200000")
        body = answer.read().decode()
        assert answer.status == 413
        if path == "upload":
            assert body == sentence
        else:
            assert json.loads(body) == {"detail": sentence, "error": sentence}


def test_a_request_that_hides_its_length_is_refused(server):
    answer = heads_only(server, "gradio_api/upload", "Transfer-Encoding", "chunked")
    assert answer.status == 411 and "Content-Length" in answer.read().decode()


def test_an_address_with_a_control_character_is_refused_with_a_sentence(server):
    for path in ("%0aconfig", "gradio_api/file=%7f"):
        status, body = server.ask(path, b"{}")
        assert status == 404 and "control character" in body
    asked = json.dumps({"data": [], "fn_index": 0, "session_hash": "a"}).encode()
    status, body = server.ask("gradio_api/run/%00", asked, **JSON)
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


def test_stop_is_answered_beside_the_queue(server):
    number = {one.name: key for key, one in server.demo.fns.items()}
    body = {"data": [], "fn_index": number["stop"], "session_hash": "a"}
    status, answer = server.ask("gradio_api/run/predict", json.dumps(body).encode(), **JSON)
    assert status == 200 and "Stopped" in answer
    cancel = {"session_hash": "a", "fn_index": number["run"], "event_id": "none"}
    assert server.ask("gradio_api/cancel", json.dumps(cancel).encode(), **JSON)[0] == 200


@pytest.mark.parametrize("route", ["run", "api"])
def test_no_function_with_a_queue_runs_beside_it(server, route):
    queued = [(key, one.api_name) for key, one in server.demo.fns.items() if one.queue]
    assert len(queued) >= 5
    for key, name in queued:
        for number in ({"fn_index": key}, {}):
            asked = json.dumps({"data": [None] * 20, "session_hash": "a"} | number).encode()
            status, body = server.ask(f"gradio_api/{route}/{name}", asked, **JSON)
            assert status == 404 and "join the queue" in body


def test_visitors_of_a_space_have_separate_rates():
    port = free_port()
    environment = {name: text for name, text in os.environ.items() if name != "FORWARDED_ALLOW_IPS"}
    environment |= {"PORT": str(port), "TOKENSCOPE_MAX_REQUESTS_PER_MINUTE": "1", "SPACE_ID": "a/b"}

    def is_up() -> bool:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200
        except OSError:
            return False

    def upload(visitor: str) -> int:
        proxy = ("127.0.0.2", 0)  # not the address that uvicorn trusts by default
        connection = HTTPConnection("127.0.0.1", port, timeout=30, source_address=proxy)
        headers = {"X-Forwarded-For": visitor, "Connection": "close"}
        connection.request("POST", "/gradio_api/upload", b"x", headers)
        return connection.getresponse().status

    page = subprocess.Popen([sys.executable, ROOT / "main.py"], env=environment, cwd=ROOT)
    try:
        wait_until(is_up, seconds=120)
        assert upload("192.0.2.1") == 400
        assert upload("192.0.2.2") == 400
        assert upload("192.0.2.1") == 429
    finally:
        page.terminate()
        page.wait(timeout=60)


def test_users_must_log_in_and_their_uploads_are_deleted_when_the_page_stops(picture):
    served = Server(Settings(users="ann:secret, bob:more:colons"))
    try:
        assert served.ask("config")[0] == 401
        assert served.ask("gradio_api/upload", b"x")[0] == 401
        assert served.ask("login", b"username=ann&password=guess", **FORM)[0] == 400
        client = Client(served.url, auth=("bob", "more:colons"), verbose=False)
        assert client.predict(handle_file(picture), QUESTION, api_name="/compare")["lanes"]
        uploads = [Path(one) for one in served.demo.upload_file_set]
        assert uploads and all(one.is_file() for one in uploads)
    finally:
        served.demo.close()
    assert not any(one.is_file() for one in uploads)


@pytest.mark.parametrize("users", ["ann", "ann:", ":secret", "ann:secret,bob"])
def test_an_incomplete_login_is_refused_without_quoting_it(users):
    with pytest.raises(ValueError, match="wanted name:password") as refused:
        Settings(users=users).logins()
    assert "secret" not in str(refused.value)


def test_a_password_is_not_printed_with_the_settings(monkeypatch):
    monkeypatch.setenv("TOKENSCOPE_USERS", "ann:secret")
    settings = Settings.from_environment()
    assert settings.logins() == [("ann", "secret")] and "secret" not in repr(settings)


def test_an_internal_error_is_not_shown_to_strangers(server, picture, monkeypatch, caplog):
    def fail(job, cancelled=None):
        raise RuntimeError("a secret path")

    monkeypatch.setattr(server.worker, "run", fail)
    client = Client(server.url, verbose=False)
    with pytest.raises(Exception, match="internal error") as refused:
        client.predict(handle_file(picture), QUESTION, api_name="/compare")
    assert "secret" not in str(refused.value)
    (number,) = {record.job for record in caplog.records if hasattr(record, "job")}
    assert number and f"The log has the rest under {number}." in str(refused.value)
    assert server.demo.show_error is False


def test_an_upload_that_stops_is_ended(server, monkeypatch):
    monkeypatch.setattr("app.guard.request_timeout.IDLE_SECONDS", 0.5)
    host = urlsplit(server.url).netloc
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 900000\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    with socket.create_connection(host.split(":"), timeout=60) as slow:
        slow.sendall(head.encode() + b"--x\r\n")
        assert slow.recv(10_000).startswith(b"HTTP/1.1 408")


def test_jobs_share_one_limit_above_the_queue_and_files_are_made_beside_them():
    demo = build(FakeWorker(), Settings())
    queued = [
        one for one in demo.fns.values() if one.fn and one.queue and one.targets[0][1] != "unload"
    ]
    assert {one.concurrency_id for one in queued} == {"device", "files", "drawing"}
    assert all(one.concurrency_limit > 1 for one in queued)
    jobs = [one.concurrency_limit for one in queued if one.concurrency_id == "device"]
    assert len(jobs) == 9, "as before, and Analyse, its box and its cells"
    assert len(set(jobs)) == 1 and jobs[0] > Settings().queue_size


def test_the_page_states_the_upload_limits_and_the_deletion():
    demo = build(FakeWorker(), Settings(max_upload_mb=7, max_clip_seconds=11))
    text = " ".join(str(one.value) for one in demo.blocks.values() if isinstance(one, gr.HTML))
    assert "at most 7 MB, 50 megapixels" in text and "at most 7 MB, 11 s" in text
    assert "deleted after an hour" in text
