"""What Gradio remembers of who was here, and when it is forgotten.

A page brings all that it asks with, so a session that is forgotten does no harm but to its
comparison. Gradio keeps every value that a page was sent, for deep links, which the door shuts; the
session until many others came, a new one for each call of a program; and an answer until somebody
fetches it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState, StateHolder

HOUR = 3600  # seconds that whatever somebody brought, or was shown, may stay
MINUTE = 60  # between two looks
log = logging.getLogger(__name__)


def settle(
    page: gr.Blocks, called: BlockFunction, state: SessionState, session: str | None
) -> None:
    """After a call nothing of what was sent stays but a comparison.

    Without one, nothing at all stays of a program, nor of a tab that is closed.
    """
    state.config_values.clear()
    state.blocks_config.blocks = dict(page.default_config.blocks)  # not as they were shown
    closed = any(event == "unload" for _, event in called.targets)
    if session and (closed or called.api_visibility == "public") and not holds(state):
        forget(page.state_holder, session)


def holds(state: SessionState) -> bool:
    """Whether there is a comparison still. Gradio drops it an hour after it was made."""
    return any(state.state_data.values())


def forget(holder: StateHolder, session: str) -> None:
    """Whoever comes again under this name is new."""
    holder.session_data.pop(session, None)
    holder.time_last_used.pop(session, None)


@asynccontextmanager
async def session_cleanup(app: Any) -> AsyncIterator[None]:
    """A lifespan of Gradio's server in which sessions without a comparison are forgotten."""
    task = asyncio.create_task(_look_often(app.get_blocks()))
    try:
        yield
    finally:
        task.cancel()


async def _look_often(page: gr.Blocks) -> None:
    lying: dict[str, int] = {}
    while True:
        await asyncio.sleep(MINUTE)
        try:
            forget_idle(page.state_holder, busy(page._queue))
            lying = drop_unfetched(page._queue, lying)
        except Exception as error:  # the next look may do better
            log.error("sessions not looked at", exc_info=error)


def busy(queue: Any) -> set[str]:
    """Sessions with a call under way, or waiting."""
    return {event.session_hash for event in queue.event_ids_to_events.values()}


def forget_idle(
    holder: StateHolder, busy: Collection[str] = (), now: datetime | None = None
) -> None:
    """Sessions without a comparison, unused for a minute at `now`, but for those that are busy."""
    now = now or datetime.now()
    for session, state in list(holder.session_data.items()):
        state.config_values.clear()  # what a call that came to nothing left
        idle = (now - holder.time_last_used.get(session, now)).total_seconds()
        if idle > MINUTE and session not in busy and not holds(state):
            forget(holder, session)


def drop_unfetched(queue: Any, lying: Mapping[str, int]) -> dict[str, int]:
    """Drop the answers to finished calls of which none was fetched since the last look.

    Args:
        queue: Gradio's.
        lying: How many messages lay there for each session at the last look.

    Returns:
        How many lie there now, for the next look.
    """
    working = busy(queue)
    lie = {
        session: messages.qsize()
        for session, messages in queue.pending_messages_per_session.items()
        if session not in working
    }
    for session in [one for one, count in lie.items() if lying.get(one) == count]:
        del queue.pending_messages_per_session[session], lie[session]
        queue.pending_event_ids_session.pop(session, None)
    return lie
