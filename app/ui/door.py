"""What stands between the network and Gradio: closed routes, a size, a rate, and what may load."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

from gradio.route_utils import FnIndexInferError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings

API = "/gradio_api"
# Gradio's routes that fetch what an address names, or keep what is on a page, or run something
# beside it. None is used here.
SHUT = re.compile(
    rf"{API}/(file[=/]\s*https?:|proxy=|deep_link|stream/|process_recording|runs|run-history|vibe-)",
    re.IGNORECASE,
)
COUNTED = re.compile(rf"{API}/(queue/join|(call|run|api)/|upload)|/login")  # also passwords tried
ANSWER = re.compile(rf"{API}/call/(v2/)?[^/]+/(?P<session>[^/]+)/?$")  # what a program listens to
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
AROUND = 100_000  # bytes that a request has around its file
MOST_CLIENTS = 10_000  # whose rate is remembered

NONE_SAID = "There is no function of this name here. /gradio_api/info lists those there are."
CONTROL_SAID = "There is no such address here: none holds a control character."
SHUT_SAID = "This address is closed here."
LENGTH_SAID = "The request does not say how long it is. Send it with a Content-Length."

# Images and connections of this server only: were an answer ever shown as markup, nothing it names
# would be fetched. Scripts stay as Gradio needs them.
POLICY = (
    "img-src 'self' data: blob:; media-src 'self' data: blob:; connect-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


class Door:
    """ASGI middleware; each refusal is a status and one sentence as JSON.

    `left` is told the session of a program that stops listening to its answer; a browser's page
    tells Gradio itself that it is there.
    """

    def __init__(self, app: ASGIApp, settings: Settings, left: Callable[[str], None]) -> None:
        self.app, self.settings, self.left = app, settings, left
        self.rate = Rate(settings.max_requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refused := self._refused(scope):
            await _answer(send, *refused)
        else:
            try:
                await self.app(scope, self._listening(scope, receive), _guarded(send))
            except (FnIndexInferError, KeyError):  # no such name, or number: not begun to answer
                if not COUNTED.search(scope["path"]):
                    raise
                await _answer(send, 404, NONE_SAID)

    def _listening(self, scope: Scope, receive: Receive) -> Receive:
        answer = ANSWER.search(scope["path"])
        if scope["method"] != "GET" or not answer:
            return receive

        async def listening() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":  # or the answer is complete: no harm then
                self.left(answer["session"])
            return message

        return listening

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence; None = come in."""
        path = scope["path"]
        if CONTROL.search(path):  # Gradio makes addresses of it, and stumbles
            return 404, NONE_SAID if COUNTED.search(path) else CONTROL_SAID
        if SHUT.search(path):
            return 403, SHUT_SAID
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return None
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or not length.isdigit():
            return 411, LENGTH_SAID
        most = self.settings.max_upload_mb
        if int(length) > most * 1_000_000 + AROUND:
            return 413, f"The upload is larger than {most} MB. Save it smaller."
        client = scope.get("client") or ("", 0)
        wait = self.rate.take(network(client[0])) if COUNTED.search(path) else 0
        return (429, f"Too many requests at once. Try again in {wait:.0f} s.") if wait else None


class Rate:
    """So many a minute for each client, and as many at once after a quiet minute: token buckets.

    A client is a `network`. Behind a proxy its address is the one that the proxy tells, if uvicorn
    was told to believe it (`FORWARDED_ALLOW_IPS`).
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._spent: dict[str, tuple[float, float]] = {}  # how many are spent, and when that was

    def take(self, client: str) -> float:
        """Seconds to wait, 0 = go on; no limit where it is 0 a minute."""
        if not self.per_minute:
            return 0
        now = self.clock()
        spent, then = self._spent.pop(client, (0.0, now))
        spent = max(spent - (now - then) * self.per_minute / 60, 0)
        wait = max((spent + 1 - self.per_minute) * 60 / self.per_minute, 0)
        self._spent[client] = (spent if wait else spent + 1, now)
        if len(self._spent) > MOST_CLIENTS:
            del self._spent[next(iter(self._spent))]  # who came longest ago
        return 0 if not wait else max(wait, 1)


def network(address: str) -> str:
    """Whom to count an address as: of IPv6 the /64, in which one customer has every address."""
    try:
        found = ip_address(address)
    except ValueError:  # a proxy may tell any name
        return address
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or IPv6Network((int(found), 64), strict=False))
    return str(found)


def _guarded(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return guarded


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence, "error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
