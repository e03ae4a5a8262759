"""Deletes what Gradio stores of sessions: sent values, idle sessions and unread answers.

A page sends all inputs with each request, so a deleted session loses its comparison only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import gradio as gr

from app.guard import gradio_internals as internals

HOUR = 3600  # seconds that uploads, results and comparisons are kept
IDLE_SECONDS = 60  # until an unused session is deleted, and between two cleanups
log = logging.getLogger(__name__)


def clean_after_call(
    page: gr.Blocks,
    function: internals.BlockFunction,
    state: internals.SessionState,
    session: str | None,
) -> None:
    """Delete what a call left, except a comparison.

    Without a comparison, also deletes the session of a program or of a closed tab.
    """
    internals.clear_sent_values(state)
    internals.reset_components(page, state)
    if session and internals.ends_session(function) and not internals.has_value(state):
        internals.delete_session(page, session)


@asynccontextmanager
async def session_cleanup(app: Any) -> AsyncIterator[None]:
    """Lifespan of Gradio's server that cleans up once a minute."""
    task = asyncio.create_task(_clean_forever(app.get_blocks()))
    try:
        yield
    finally:
        task.cancel()


async def _clean_forever(page: gr.Blocks) -> None:
    unread: dict[str, int] = {}
    while True:
        await asyncio.sleep(IDLE_SECONDS)
        try:
            delete_idle_sessions(page)
            unread = delete_unread_answers(page, unread)
        except Exception as error:  # the next cleanup may succeed
            log.error("session cleanup failed", exc_info=error)


def delete_idle_sessions(page: gr.Blocks, now: datetime | None = None) -> None:
    """Delete sessions without a comparison that were not used for a minute and are not busy."""
    now = now or datetime.now()
    busy = internals.busy_sessions(page)
    for session, state, used in internals.stored_sessions(page):
        internals.clear_sent_values(state)  # left by calls that failed
        idle = used is not None and (now - used).total_seconds() > IDLE_SECONDS
        if idle and session not in busy and not internals.has_value(state):
            internals.delete_session(page, session)


def delete_unread_answers(page: gr.Blocks, before: Mapping[str, int]) -> dict[str, int]:
    """Delete answers of which no message was read since the last cleanup.

    Args:
        page: Gradio's page.
        before: Unread messages of each session at the last cleanup.

    Returns:
        Unread messages now, for the next cleanup.
    """
    unread = internals.unread_messages(page)
    for session in [one for one, count in unread.items() if before.get(one) == count]:
        internals.delete_messages(page, session)
        del unread[session]
    return unread
