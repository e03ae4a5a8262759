"""How long the server waits for what a request brings."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAUSE = 20  # seconds in which nothing comes
SLOWEST = 50_000  # bytes a second; a request has a pause more than it takes at that


class SlowBodyError(Exception):
    """The body stopped coming, or hardly comes."""


async def call_with_body_timeout(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call `app`, which reads the body before it answers; the answer may take its time.

    Raises:
        SlowBodyError: The body did not come in time, and `app` was cancelled while it waited.
    """
    now = asyncio.get_running_loop().time
    start, size = now(), 0
    try:
        async with asyncio.timeout(PAUSE) as limit:

            async def arriving() -> Message:
                nonlocal size
                message = await receive()
                size += len(message.get("body", b""))
                if limit.when() is not None:  # else all has come
                    latest = min(now(), start + size / SLOWEST) + PAUSE
                    limit.reschedule(latest if message.get("more_body") else None)
                return message

            await app(scope, arriving, send)
    except TimeoutError:
        if not limit.expired():  # one of the app's own
            raise
        raise SlowBodyError from None
