"""Who is here: what a browser tab, or a program, has under way ends when it leaves."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from app.guard.rate_limit import client_network


def address(request: gr.Request | None) -> str:
    """Whom to count a request as, whatever it calls itself: a login, else a network."""
    if request is None:
        return ""
    if request.username:
        return f"login {request.username}"
    return client_network(request.client.host) if request.client else ""


class Visitors:
    """The jobs under way by session; to cancel one, its event is set."""

    def __init__(self) -> None:
        self._jobs: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def job(self, session: str) -> Iterator[threading.Event]:
        """What to give a worker as `cancelled`; it is set at the end, however that comes."""
        cancelled = threading.Event()
        with self._lock:
            self._jobs[session].add(cancelled)
        try:
            yield cancelled
        finally:
            cancelled.set()
            with self._lock:
                self._jobs[session].discard(cancelled)
                if not self._jobs[session]:
                    del self._jobs[session]

    def leave(self, request: gr.Request) -> None:
        """A closed tab: nobody will see what its jobs would say."""
        self.end(request.session_hash or "")

    def end(self, session: str) -> None:
        """Cancel what it has under way."""
        with self._lock:
            for cancelled in self._jobs.get(session, ()):
                cancelled.set()
