"""A browser tab without a browser: presses Compare over HTTP, as the page does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from gradio_client.utils import apply_diff

ANSWER = re.compile(r'<p class="answer"[^>]*>(.*?)</p>', re.DOTALL)
ALERT = re.compile(r'<p role="alert">(.*?)</p>', re.DOTALL)
SKIPPED = {"props": {"__type__": "update"}, "__type__": "update"}  # an output left as it is
TAG = re.compile(r"<[^>]*>")


class Tab:
    """A loaded page with its own session; all inputs but upload, question and methods stay."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=600)  # the queue may be long
        self.session = uuid4().hex
        self.job = ""
        self.received = 0  # bytes of all messages
        config = self.http.get("config").json()
        self.listeners = {one["api_name"]: one for one in config["dependencies"]}
        self.listener = self.listeners["run"]
        components = {one["id"]: one for one in config["components"]}
        self.inputs = [components[id] for id in self.listener["inputs"]]

    def close(self) -> None:
        self.http.close()

    def compare(self, upload: Path | str, question: str, methods: Sequence[str]) -> list[str]:
        """The answers of the lanes, vanilla first, with one space between words.

        Raises a `RuntimeError` with the page's message if there are none.
        """
        self.join(upload, question, methods)
        return answers_in(self.values())

    def join(self, upload: Path | str, question: str, methods: Sequence[str]) -> None:
        """Presses Compare and does not wait."""
        values = {
            "image": {"path": self._uploaded(upload), "meta": {"_type": "gradio.FileData"}},
            "textbox": question,
            "checkboxgroup": list(methods),
        }
        data = [values.get(one["type"], one["props"].get("value")) for one in self.inputs]
        self._send(self.listener, data)

    def event(self, listener: str, data: dict[str, Any]) -> list[Any]:
        """The outputs of a listener without inputs that takes the data of an event."""
        self._send(self.listeners[listener], [], event_data=data)
        return self.values()

    def _send(self, listener: dict[str, Any], data: list[Any], **more: Any) -> None:
        job = {"data": data, "fn_index": listener["id"], "session_hash": self.session, **more}
        answer = self.http.post("gradio_api/queue/join", json=job)
        if answer.is_error:
            raise RuntimeError(answer.json()["detail"])
        self.job = answer.json()["event_id"]

    def values(self) -> list[Any]:
        """The outputs of the last job, put together from the streamed differences."""
        values: list[Any] = []
        shown: list[Any] = []  # the last value of each output that an update did not skip
        for message in self._messages():
            data = (message.get("output") or {}).get("data", [])
            if message["msg"] == "process_generating":
                changes = zip(values, data, strict=True)
                values = [apply_diff(*change) for change in changes] if values else data
                kept = zip(values, shown or values, strict=True)
                shown = [old if new == SKIPPED else new for new, old in kept]
            elif message["msg"] == "process_completed":
                if not message["success"]:
                    raise RuntimeError(message["output"].get("error"))
                return shown or data  # without differences: of a function that gives all at once
        return shown

    def _messages(self) -> Iterator[dict[str, Any]]:
        session = {"session_hash": self.session}
        with self.http.stream("GET", "gradio_api/queue/data", params=session) as stream:
            for line in stream.iter_lines():
                self.received += len(line)
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("event_id") == self.job:
                    yield message

    def _uploaded(self, upload: Path | str) -> str:
        with open(upload, "rb") as file:
            answer = self.http.post("gradio_api/upload", files={"files": file})
        (path,) = answer.raise_for_status().json()
        return path


def answers_in(values: Sequence[Any]) -> list[str]:
    """The answers among the outputs of a page; raises its alert as a `RuntimeError`."""
    html = [value for value in values if isinstance(value, str)]
    if alerts := [_plain_text(one) for value in html for one in ALERT.findall(value)]:
        raise RuntimeError(alerts[0])
    return [_plain_text(one) for value in html for one in ANSWER.findall(value)]


def _plain_text(html: str) -> str:
    return normalize_space(unescape(TAG.sub("", html)))


def normalize_space(text: str) -> str:
    """The words with one space between them, as HTML shows them."""
    return " ".join(text.split())
