"""Time limit for the arrival of a request body."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

IDLE_SECONDS = 20  # without a byte
BYTES_PER_SECOND = 50_000  # least average rate; the whole body may take IDLE_SECONDS longer


class SlowBodyError(Exception):
    """The body stopped or came too slowly."""


async def call_with_body_timeout(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call `app` and limit the time in which the body arrives, not the time of the answer.

    Raises:
        SlowBodyError: The body came too slowly, and `app` was cancelled while it waited.
    """
    now = asyncio.get_running_loop().time
    start, size = now(), 0
    try:
        async with asyncio.timeout(IDLE_SECONDS) as limit:

            async def receive_in_time() -> Message:
                nonlocal size
                message = await receive()
                size += len(message.get("body", b""))
                if limit.when() is not None:  # None: the body is complete
                    latest = min(now(), start + size / BYTES_PER_SECOND) + IDLE_SECONDS
                    limit.reschedule(latest if message.get("more_body") else None)
                return message

            await app(scope, receive_in_time, send)
    except TimeoutError:
        if not limit.expired():  # raised by the app itself
            raise
        raise SlowBodyError from None
