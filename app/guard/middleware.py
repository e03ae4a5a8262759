"""What stands between the network and Gradio: closed routes, sizes, rates, and what may load."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from gradio.route_utils import FnIndexInferError
from gradio.utils import get_upload_folder
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.guard.folder_quota import FolderQuota
from app.guard.rate_limit import RateLimit, client_network
from app.guard.request_timeout import SLOWEST, SlowBodyError, call_with_body_timeout
from app.settings import Settings

API = "/gradio_api"
# Gradio's routes that fetch what an address names, or keep what is on a page, or run something
# beside it. None is used here.
SHUT = re.compile(
    rf"{API}/(file[=/]\s*https?:|proxy=|deep_link|stream/|process_recording|runs|run-history|vibe-)",
    re.IGNORECASE,
)
UPLOAD = re.compile(rf"{API}/upload")
COSTLY = re.compile(rf"{API}/(queue/join|call/|upload)|/login")  # also passwords tried
# What the page asks for at a click, and when it opens. Gradio runs nothing by it that has a queue,
# but remembers a session for it, and may forget another's.
LIGHT = re.compile(rf"{API}/((run|api)/|component_server|heartbeat/)")
OPEN = re.compile(rf"{API}/heartbeat/")  # remembered, though it brings nothing
LIGHTER = 10  # times as many of them are let through
NAMED = re.compile(rf"{API}/(queue/join|(call/v2|call|run|api)/(?P<name>[^/]*))")  # of a function
ANSWER = re.compile(rf"{API}/call/(v2/)?[^/]+/(?P<event>[^/]+)/?$")  # what a program listens to
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
AROUND = 100_000  # bytes that a request has around its file
FILELESS = 10_000  # bytes of a job on what is uploaded already: it is taken into a full folder

NONE_SAID = "There is no function of this name here. /gradio_api/info lists those there are."
CONTROL_SAID = "There is no such address here: none holds a control character."
SHUT_SAID = "This address is closed here."
FULL_SAID = "The folder of uploads is full. Try again in some minutes."
SLOW_SAID = (
    f"The file stopped coming, or came slower than {SLOWEST // 1000} kB a second. "
    "Send it again, or save it smaller."
)
LENGTH_SAID = "The request does not say how long it is. Send it with a Content-Length."

# From this server only, whatever it is: were an answer ever shown as markup, nothing that it names
# would be fetched. Scripts within the page are as Gradio needs them. Who may show the page in a
# frame is left open: the hub does so with a Space.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


class GuardMiddleware:
    """ASGI middleware; each refusal is a status and one sentence as JSON.

    `functions` are the page's by number. `left` is told the session of a program that stops
    listening to its answer; a browser's page tells Gradio itself that it is there.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        functions: Container[int],
        left: Callable[[str], None],
    ) -> None:
        self.app, self.settings, self.functions, self.left = app, settings, functions, left
        self.rates = [
            (COSTLY, RateLimit(settings.max_requests_per_minute)),
            (LIGHT, RateLimit(LIGHTER * settings.max_requests_per_minute)),
        ]
        self.room = FolderQuota(Path(get_upload_folder()), settings.max_stored_mb * 1_000_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refused := self._refused(scope):
            await _answer(scope, send, *refused)
        elif size := _size_of_file(scope):
            await self._with_file(size, scope, receive, send)
        else:
            await self._enter(scope, receive, send)

    async def _with_file(self, size: int, scope: Scope, receive: Receive, send: Send) -> None:
        arrival = await self.room.let_in(size)
        if arrival is None:
            await _answer(scope, send, 507, FULL_SAID)
            return
        try:
            await call_with_body_timeout(self._enter, scope, receive, send)
        except SlowBodyError:
            await _answer(scope, send, 408, SLOW_SAID)
        finally:
            arrival.complete = True

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, self._listening(scope, receive), _guarded(send))
        except (FnIndexInferError, KeyError) as error:
            if not self._names_none(error, scope["path"]):
                raise
            await _answer(scope, send, 404, NONE_SAID)  # Gradio has not begun to answer

    def _names_none(self, error: Exception, path: str) -> bool:
        """Whether Gradio stumbled over a function's name or number that the page does not have."""
        asked = NAMED.search(path)
        if asked is None or isinstance(error, FnIndexInferError):
            return asked is not None
        key = next(iter(error.args), None)
        return key not in self.functions if isinstance(key, int) else key == f"/{asked['name']}"

    def _listening(self, scope: Scope, receive: Receive) -> Receive:
        answer = ANSWER.search(scope["path"])
        if scope["method"] != "GET" or not answer:
            return receive
        session = _session(scope["app"].get_blocks()._queue, answer["event"])

        async def listening() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":  # or the answer is complete: no harm then
                self.left(session)
            return message

        return listening

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence; None = come in."""
        path = scope["path"]
        if CONTROL.search(path):  # Gradio makes addresses of it, and stumbles
            return 404, NONE_SAID if NAMED.search(path) else CONTROL_SAID
        if SHUT.search(path):
            return 403, SHUT_SAID
        if scope["method"] in ("POST", "PUT", "PATCH"):
            return self._too_large(scope) or self._too_often(scope)
        return self._too_often(scope) if OPEN.search(path) else None

    def _too_large(self, scope: Scope) -> tuple[int, str] | None:
        length = _length(scope)
        if length is None:
            return 411, LENGTH_SAID
        most = self.settings.max_upload_mb
        if length > most * 1_000_000 + AROUND:
            return 413, f"The upload is larger than {most} MB. Save it smaller."
        return None

    def _too_often(self, scope: Scope) -> tuple[int, str] | None:
        client = client_network((scope.get("client") or ("", 0))[0])
        path = scope["path"]
        wait = sum(rate.take(client) for routes, rate in self.rates if routes.search(path))
        return (429, f"Too many requests at once. Try again in {wait:.0f} s.") if wait else None


def _session(queue: Any, event: str) -> str:
    """Whose job it is, as Gradio finds it: the program's own name, else the job's."""
    if job := queue.event_ids_to_events.get(event):
        return str(job.session_hash)
    finished = queue.pending_event_ids_session.items()
    return next((session for session, events in finished if event in events), event)


def _length(scope: Scope) -> int | None:
    """Bytes of the body, if the request says so."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    return None if b"transfer-encoding" in headers or not length.isdigit() else int(length)


def _size_of_file(scope: Scope) -> int:
    """Bytes that the request may leave in the folder of uploads."""
    if scope["method"] != "POST":
        return 0
    length = _length(scope) or 0
    job = length > FILELESS and NAMED.search(scope["path"])
    return length if job or UPLOAD.search(scope["path"]) else 0


def _guarded(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return guarded


async def _answer(scope: Scope, send: Send, status: int, sentence: str) -> None:
    body, kind = json.dumps({"detail": sentence, "error": sentence}), b"application/json"
    if UPLOAD.search(scope["path"]):  # the page shows the answer as it is
        body, kind = sentence, b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
