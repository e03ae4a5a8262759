"""The middleware limits the rate and size of requests, without a server behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.guard.middleware import GuardMiddleware
from app.guard.rate_limit import MAX_CLIENTS, RateLimit, client_network
from app.guard.request_timeout import SlowBodyError
from app.settings import Settings

pytestmark = pytest.mark.security


class Guarded:
    """The middleware in front of an app that answers 200, or raises `error`; no server."""

    def __init__(self, error: Exception | None = None, **settings: int) -> None:
        page = SimpleNamespace(fns={0: "a function"})
        self.error, self.guard = error, GuardMiddleware(self._app, Settings(**settings), page)

    async def _app(self, scope, receive, send):
        if self.error:
            raise self.error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def answer(self, route: str, method: str = "POST", size: int = 2) -> tuple[int, str]:
        """Status and body of the answer to one request; `size` is its declared length."""
        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"content-length", b"%d" % size)]
        scope = {"type": "http", "method": method, "path": route, "headers": headers}
        await self.guard(scope, None, send)
        return sent[0]["status"], sent[1]["body"].decode()

    def statuses(self, route: str, count: int = 1, **request) -> list[int]:
        async def ask():
            return [(await self.answer(route, **request))[0] for _ in range(count)]

        return asyncio.run(ask())


def test_requests_above_the_rate_get_429_and_reading_the_page_is_free():
    guarded = Guarded(max_requests_per_minute=3)
    assert guarded.statuses("/gradio_api/upload", 5) == [200, 200, 200, 429, 429]
    assert guarded.statuses("/", method="GET") == guarded.statuses("/config", method="GET") == [200]
    status, body = asyncio.run(guarded.answer("/gradio_api/call/compare"))
    assert status == 429 and "Try again in" in body


@pytest.mark.parametrize(
    "route", ["queue/join", "call/compare", "call/v2/compare", "upload", "../login"]
)
def test_every_route_that_runs_or_stores_something_is_counted(route):
    guarded = Guarded(max_requests_per_minute=1)
    assert guarded.statuses("/gradio_api/upload") == [200]
    assert guarded.statuses(f"/gradio_api/{route}".replace("/gradio_api/..", "")) == [429]
    assert guarded.statuses("/gradio_api/run/predict") == [200], "the Stop button"
    assert guarded.statuses("/gradio_api/cancel") == [200]


@pytest.mark.parametrize("route", ["run/x", "api/x", "component_server"])
def test_ten_times_as_many_clicks_as_jobs_pass(route):
    guarded = Guarded(max_requests_per_minute=1)
    assert guarded.statuses(f"/gradio_api/{route}", 11) == [200] * 10 + [429]


def test_open_tabs_are_counted_like_clicks():
    guarded = Guarded(max_requests_per_minute=1)
    assert guarded.statuses("/gradio_api/heartbeat/a", 10, method="GET") == [200] * 10
    for method in ("GET", "HEAD"):
        assert guarded.statuses("/gradio_api/heartbeat/more", method=method) == [429]


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


def test_a_rate_remembers_so_many_clients_and_no_more():
    rate = RateLimit(6, clock=lambda: 0.0)
    for client in range(MAX_CLIENTS + 10):
        rate.take(str(client))
    assert len(rate._spent) == MAX_CLIENTS
    assert RateLimit(0).take("a") == 0


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
def test_an_unrelated_key_error_is_not_answered_as_an_unknown_function(path, key):
    with pytest.raises(KeyError):
        Guarded(KeyError(key)).statuses(f"/gradio_api/{path}")


@pytest.mark.parametrize(
    ("path", "key"), [("queue/join", 99), ("run/predict", 99), ("call/v2/gone", "/gone")]
)
def test_the_key_error_of_an_unknown_function_becomes_404(path, key):
    assert Guarded(KeyError(key)).statuses(f"/gradio_api/{path}") == [404]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An upload folder that holds 0.9 MB."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"a" * 900_000)
    return tmp_path


def test_a_full_folder_refuses_uploads_and_accepts_small_jobs(folder):
    guarded = Guarded(max_stored_mb=1)
    for route in ("upload", "queue/join", "call/compare", "run/predict"):
        status, body = asyncio.run(guarded.answer(f"/gradio_api/{route}", size=110_000))
        assert status == 507, "a job may carry a file as data"
        assert "full. Try again in some minutes" in body
    for route in ("queue/join", "call/compare", "run/predict"):
        assert guarded.statuses(f"/gradio_api/{route}", size=9_000) == [200]


@pytest.mark.parametrize("route", ["/gradio_api/upload", "/gradio_api/call/compare"])
def test_a_slow_upload_gives_its_reservation_back(folder, monkeypatch, route):
    guarded = Guarded(max_stored_mb=2)

    async def visits():
        begun, ended = asyncio.Event(), asyncio.Event()

        async def be_slow(*_):
            begun.set()
            await ended.wait()
            raise SlowBodyError

        with monkeypatch.context() as patched:
            patched.setattr("app.guard.middleware.call_with_body_timeout", be_slow)
            slow = asyncio.create_task(guarded.answer(route, size=900_000))
            await begun.wait()
        assert (await guarded.answer(route, size=900_000))[0] == 507
        ended.set()
        status, body = await slow
        assert status == 408 and "stopped coming, or came slower than" in body
        assert (await guarded.answer(route, size=900_000))[0] == 200

    monkeypatch.setattr("app.guard.folder_quota.SCAN_SECONDS", 0)
    asyncio.run(visits())
