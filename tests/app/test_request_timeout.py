"""A body comes in time, or its request ends; whatever is done with it may take longer."""

from __future__ import annotations

import asyncio

import pytest

from app.guard import request_timeout
from app.guard.request_timeout import SlowBodyError, call_with_body_timeout

pytestmark = pytest.mark.security

PAUSE = 0.2  # seconds
GONE = {"type": "http.disconnect"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(request_timeout, "PAUSE", PAUSE)
    monkeypatch.setattr(request_timeout, "SLOWEST", 1000)


async def read(scope, receive, send):
    """An app that wants the whole body."""
    while (await receive()).get("more_body"):
        pass


def body(*parts):
    """What brings parts of so many bytes, each after so many seconds."""
    messages = [{"body": b"x" * size, "more_body": True} for _, size in parts]
    messages[-1]["more_body"] = False
    waits = [wait for wait, _ in parts]
    coming = iter([*zip(waits, messages, strict=True), (0, GONE)])

    async def receive():
        wait, message = next(coming)
        await asyncio.sleep(wait)
        return message

    return receive


def test_a_body_that_comes_slowly_enough_is_read_to_its_end():
    asyncio.run(call_with_body_timeout(read, {}, body(*[(PAUSE / 2, 500)] * 6), None))


@pytest.mark.parametrize(
    "parts", [[(0, 500), (3, 500)], [(PAUSE / 2, 1)] * 30], ids=["stops", "dribbles"]
)
def test_a_body_that_stops_or_dribbles_is_not_waited_for(parts):
    async def ask():
        async with asyncio.timeout(2 * PAUSE):
            await call_with_body_timeout(read, {}, body(*parts), None)

    with pytest.raises(SlowBodyError):
        asyncio.run(ask())


def test_what_is_done_with_a_body_may_take_longer_and_listen_after_its_end():
    listening = []

    async def app(scope, receive, send):
        await read(scope, receive, send)
        await asyncio.sleep(2 * PAUSE)
        listening.append(receive)

    async def ask():
        await call_with_body_timeout(app, {}, body((0, 1)), None)
        return await listening[0]()

    assert asyncio.run(ask()) == GONE


def test_a_timeout_of_the_app_itself_is_no_slow_body():
    async def app(scope, receive, send):
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        asyncio.run(call_with_body_timeout(app, {}, body((0, 1)), None))
