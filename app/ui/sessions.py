"""What Gradio remembers of who was here, and when it is forgotten.

It keeps every value that a page was sent, for deep links, which the door shuts; the session until
many others came, a new one for each call of a program; and an answer until somebody fetches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.blocks import Block
from gradio.state_holder import SessionState, StateHolder

HOUR = 3600  # seconds that whatever somebody brought, or was shown, may stay
MINUTE = 60  # between two looks


def settle(
    page: gr.Blocks, called: BlockFunction, state: SessionState, session: str | None
) -> None:
    """After a call: nothing of what was sent stays, nor anything at all of a program."""
    state.config_values.clear()
    state.blocks_config.blocks = components(page, state)
    if any(event == "unload" for _, event in called.targets):
        state.is_closed = True  # Gradio says so only of tabs that had asked something
    if called.api_visibility == "public" and session:
        forget(page.state_holder, session)


def components(page: gr.Blocks, state: SessionState) -> dict[int, Block]:
    """Those that a listener takes as the tab has them, such as its choices; others as declared.

    Gradio makes all of them anew at each update, and keeps some of those before under numbers of
    their own.
    """
    taken = {block._id for listener in page.fns.values() for block in listener.inputs}
    own = state.blocks_config.blocks
    return {
        id: own[id] if id in taken and id in own else declared
        for id, declared in page.default_config.blocks.items()
    }


def forget(holder: StateHolder, session: str) -> None:
    """Whoever comes again under this name is new."""
    holder.session_data.pop(session, None)
    holder.time_last_used.pop(session, None)


@asynccontextmanager
async def forgetting(app: Any) -> AsyncIterator[None]:
    """A lifespan of Gradio's server in which tabs are forgotten an hour after they closed."""
    task = asyncio.create_task(_look_often(app.get_blocks()))
    try:
        yield
    finally:
        task.cancel()


async def _look_often(page: gr.Blocks) -> None:
    lying: dict[str, int] = {}
    while True:
        await asyncio.sleep(MINUTE)
        forget_closed(page.state_holder)
        lying = drop_unfetched(page._queue, lying)


def forget_closed(holder: StateHolder, now: datetime | None = None) -> None:
    """Tabs that closed an hour before `now`; of calls that came to nothing, what they left."""
    now = now or datetime.now()
    for session, state in list(holder.session_data.items()):
        state.config_values.clear()
        idle = (now - holder.time_last_used.get(session, now)).total_seconds()
        if state.is_closed and idle > HOUR:
            forget(holder, session)


def drop_unfetched(queue: Any, lying: Mapping[str, int]) -> dict[str, int]:
    """Drop the answers to finished calls of which none was fetched since the last look.

    Args:
        queue: Gradio's.
        lying: How many messages lay there for each session at the last look.

    Returns:
        How many lie there now, for the next look.
    """
    busy = {event.session_hash for event in queue.event_ids_to_events.values()}
    lie = {
        session: messages.qsize()
        for session, messages in queue.pending_messages_per_session.items()
        if session not in busy
    }
    for session in [one for one, count in lie.items() if lying.get(one) == count]:
        del queue.pending_messages_per_session[session], lie[session]
        queue.pending_event_ids_session.pop(session, None)
    return lie
