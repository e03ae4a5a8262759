"""A request ends when its body arrives too slowly; the answer may take longer."""

from __future__ import annotations

import asyncio

import pytest

from app.guard.request_timeout import (
    BYTES_PER_SECOND,
    IDLE_SECONDS,
    SlowBodyError,
    call_with_body_timeout,
)

pytestmark = pytest.mark.security

CLOSED = {"type": "http.disconnect"}


class InstantLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock jumps to the next timer, so that no test waits."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        waiting = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if waiting and not self._ready:
            self.now = max(self.now, min(waiting))
        super()._run_once()


def run(app, parts):
    """Call `app` with a body of parts, each of (seconds of waiting, bytes)."""
    messages = [{"body": b"x" * size, "more_body": True} for _, size in parts]
    messages[-1]["more_body"] = False
    arrivals = iter([*zip([wait for wait, _ in parts], messages, strict=True), (0, CLOSED)])

    async def receive():
        wait, message = next(arrivals)
        await asyncio.sleep(wait)
        return message

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return runner.run(call_with_body_timeout(app, {}, receive, None))


async def read(scope, receive, send):
    while (await receive()).get("more_body"):
        pass


def test_a_body_above_the_slowest_rate_is_read_to_its_end():
    part = (IDLE_SECONDS / 2, BYTES_PER_SECOND * IDLE_SECONDS // 2)
    run(read, [part] * 6)


@pytest.mark.parametrize(
    "parts",
    [[(0, 500), (IDLE_SECONDS + 1, 500)], [(IDLE_SECONDS / 2, 1)] * 30],
    ids=["stops", "dribbles"],
)
def test_a_body_that_stops_or_dribbles_is_ended(parts):
    with pytest.raises(SlowBodyError):
        run(read, parts)


def test_an_answer_may_take_longer_and_receive_after_the_body():
    messages = []

    async def app(scope, receive, send):
        await read(scope, receive, send)
        await asyncio.sleep(2 * IDLE_SECONDS)
        messages.append(await receive())

    run(app, [(0, 1)])
    assert messages == [CLOSED]


def test_a_timeout_of_the_app_itself_is_no_slow_body():
    async def app(scope, receive, send):
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        run(app, [(0, 1)])
