"""Cancels the jobs of a browser tab or program that has left."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

import gradio as gr

from app.guard.rate_limit import client_network


def client_key(request: gr.Request | None) -> str:
    """The login of a request, else its network; the sender can choose neither."""
    if request is None:
        return ""
    if request.username:
        return f"login {request.username}"
    return client_network(request.client.host) if request.client else ""


def is_local(request: gr.Request) -> bool:
    """Whether a request comes from this machine, to this machine, and from no proxy on it.

    A proxy names its visitor in `X-Forwarded-For`, which a visitor can also write: a request with
    that header is never local. A tunnel may omit it, but asks for another host than this one; so
    does a foreign site whose name resolves to this machine.
    """
    client, headers = getattr(request, "client", None), getattr(request, "headers", {})
    if client is None or "x-forwarded-for" in headers:
        return False
    try:
        asked = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        return ip_address(client.host).is_loopback and (
            asked == "localhost" or ip_address(asked).is_loopback
        )
    except ValueError:
        return False


class Visitors:
    """Running jobs by session; each has an event that cancels it."""

    def __init__(self) -> None:
        self._jobs: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def job(self, session: str) -> Iterator[threading.Event]:
        """Give a worker's `cancelled` event, and set it at the end, also after an error."""
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

    def busy(self, session: str) -> bool:
        """Whether a job of the session runs that was not cancelled."""
        with self._lock:
            jobs = self._jobs.get(session, ())
            return any(not cancelled.is_set() for cancelled in jobs)

    def on_unload(self, request: gr.Request) -> None:
        """Cancel the jobs of a closed tab."""
        self.cancel(request.session_hash or "")

    def cancel(self, session: str) -> None:
        """Cancel all jobs of a session."""
        with self._lock:
            for cancelled in self._jobs.get(session, ()):
                cancelled.set()
