"""ASGI middleware in front of Gradio: closed routes, size and rate limits, CSP."""

from __future__ import annotations

import json
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.guard.blocks import Blocks
from app.guard.folder_quota import FolderQuota
from app.guard.gradio_internals import (
    UNKNOWN_FUNCTION,
    is_unknown_function,
    session_of_job,
    upload_folder,
)
from app.guard.rate_limit import RateLimit, client_network
from app.guard.request_timeout import BYTES_PER_SECOND, SlowBodyError, call_with_body_timeout
from app.settings import Settings

API = "/gradio_api"
# Routes of Gradio that fetch an address, store a page's content or run something beside it.
CLOSED = re.compile(
    rf"{API}/(file[=/]\s*https?:|proxy=|deep_link|stream/|process_recording|runs|run-history|vibe-)",
    re.IGNORECASE,
)
UPLOAD = re.compile(rf"{API}/upload")
JOB = re.compile(rf"{API}/(queue/join|call/|upload)|/login")  # /login: passwords tried
# Clicks and open tabs run no job, but Gradio stores a session for each and may drop another one.
CLICK = re.compile(rf"{API}/((run|api)/|component_server|heartbeat/|mcp\b)")
HEARTBEAT = re.compile(rf"{API}/heartbeat/")  # a GET request that still stores a session
CLICKS_PER_JOB = 10
FUNCTION = re.compile(rf"{API}/(queue/join|(call/v2|call|run|api)/(?P<name>[^/]*))")
ANSWER = re.compile(rf"{API}/call/(v2/)?[^/]+/(?P<event>[^/]+)/?$")  # stream read by a program
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
OVERHEAD = 100_000  # bytes of a request around its file
SMALL_JOB = 10_000  # bytes of a job without a file: a full folder still accepts it

NO_FUNCTION = "There is no function of this name here. /gradio_api/info lists all functions."
CONTROL_CHARACTER = "The address has a control character; there is no such address here."
CLOSED_ROUTE = "This address is closed here."
FULL = "The folder of uploads is full. Try again in some minutes."
SLOW = (
    f"The file stopped coming, or came slower than {BYTES_PER_SECOND // 1000} kB a second. "
    "Send it again, or save it smaller."
)
NO_LENGTH = "The request does not say how long it is. Send it with a Content-Length."

# Only this server: if an answer were rendered as markup, the browser would load nothing it names.
# Gradio needs inline scripts. Framing stays open, because the hub shows a Space in a frame.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


class GuardMiddleware:
    """Refuses a request with a status and one sentence as JSON, or passes it on to Gradio.

    Cancels the job of a program that closes the stream of its answer.
    """

    def __init__(self, app: ASGIApp, settings: Settings, page: Blocks) -> None:
        self.app, self.settings, self.page = app, settings, page
        self.rates = [
            (JOB, RateLimit(settings.max_requests_per_minute)),
            (CLICK, RateLimit(CLICKS_PER_JOB * settings.max_requests_per_minute)),
        ]
        self.quota = FolderQuota(upload_folder(), settings.max_stored_mb * 1_000_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refused := self._refuse(scope):
            await _answer(scope, send, *refused)
        elif size := _file_size(scope):
            await self._pass_file(size, scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    async def _pass_file(self, size: int, scope: Scope, receive: Receive, send: Send) -> None:
        reservation = await self.quota.reserve(size)
        if reservation is None:
            await _answer(scope, send, 507, FULL)
            return
        try:
            await call_with_body_timeout(self._pass, scope, receive, send)
        except SlowBodyError:
            await _answer(scope, send, 408, SLOW)
        finally:
            reservation.complete = True

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, self._cancelling(scope, receive), _with_headers(send))
        except UNKNOWN_FUNCTION as error:
            called = FUNCTION.search(scope["path"])
            if called is None or not is_unknown_function(self.page, error, called["name"]):
                raise
            await _answer(scope, send, 404, NO_FUNCTION)  # Gradio has not begun to answer

    def _cancelling(self, scope: Scope, receive: Receive) -> Receive:
        answer = ANSWER.search(scope["path"])
        if scope["method"] != "GET" or not answer:
            return receive
        session = session_of_job(self.page, answer["event"])

        async def receive_and_cancel() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":  # also after a complete answer, harmless then
                self.page.visitors.cancel(session)
            return message

        return receive_and_cancel

    def _refuse(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence; None = the request may pass."""
        path = scope["path"]
        if CONTROL.search(path):  # Gradio fails on it
            return 404, NO_FUNCTION if FUNCTION.search(path) else CONTROL_CHARACTER
        if CLOSED.search(path):
            return 403, CLOSED_ROUTE
        if scope["method"] in ("POST", "PUT", "PATCH"):
            return self._refuse_size(scope) or self._refuse_rate(scope)
        return self._refuse_rate(scope) if HEARTBEAT.search(path) else None

    def _refuse_size(self, scope: Scope) -> tuple[int, str] | None:
        length = _content_length(scope)
        if length is None:
            return 411, NO_LENGTH
        most = self.settings.max_upload_mb
        if length > most * 1_000_000 + OVERHEAD:
            return 413, f"The upload is larger than {most} MB. Save it smaller."
        return None

    def _refuse_rate(self, scope: Scope) -> tuple[int, str] | None:
        client = client_network((scope.get("client") or ("", 0))[0])
        path = scope["path"]
        wait = sum(rate.take(client) for routes, rate in self.rates if routes.search(path))
        return (429, f"Too many requests at once. Try again in {wait:.0f} s.") if wait else None


def _content_length(scope: Scope) -> int | None:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    return None if b"transfer-encoding" in headers or not length.isdigit() else int(length)


def _file_size(scope: Scope) -> int:
    """Bytes that the request may write into the upload folder."""
    if scope["method"] != "POST":
        return 0
    length = _content_length(scope) or 0
    job = length > SMALL_JOB and FUNCTION.search(scope["path"])
    return length if job or UPLOAD.search(scope["path"]) else 0


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return send_with_headers


async def _answer(scope: Scope, send: Send, status: int, sentence: str) -> None:
    body, kind = json.dumps({"detail": sentence, "error": sentence}), b"application/json"
    if UPLOAD.search(scope["path"]):  # the page shows the body as it is
        body, kind = sentence, b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
