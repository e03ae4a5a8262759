"""A browser tab without a browser: Compare pressed over HTTP, as the page itself does it."""

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
TAG = re.compile(r"<[^>]*>")


class Tab:
    """A page that was just loaded; its session is new, and all but the picture as it stands."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=600)  # a queue may be long
        self.session = uuid4().hex
        self.job = ""
        config = self.http.get("config").json()
        self.listener = next(one for one in config["dependencies"] if one["api_name"] == "run")
        shown = {one["id"]: one for one in config["components"]}
        self.inputs = [shown[id] for id in self.listener["inputs"]]

    def close(self) -> None:
        self.http.close()

    def compare(self, upload: Path | str, question: str, methods: Sequence[str]) -> list[str]:
        """The answers of the lanes, vanilla first, their words a space apart.

        Raises a `RuntimeError` with what the page says in place of them.
        """
        self.join(upload, question, methods)
        return said_of(self.values())

    def join(self, upload: Path | str, question: str, methods: Sequence[str]) -> None:
        """Press Compare, and do not look."""
        sent = {
            "image": {"path": self._uploaded(upload), "meta": {"_type": "gradio.FileData"}},
            "textbox": question,
            "checkboxgroup": list(methods),
        }
        data = [sent.get(one["type"], one["props"].get("value")) for one in self.inputs]
        job = {"data": data, "fn_index": self.listener["id"], "session_hash": self.session}
        answer = self.http.post("gradio_api/queue/join", json=job)
        if answer.is_error:
            raise RuntimeError(answer.json()["detail"])
        self.job = answer.json()["event_id"]

    def values(self) -> list[Any]:
        """What stands on the page after the last job, as the differences that come make it."""
        values: list[Any] = []
        for message in self._messages():
            data = (message.get("output") or {}).get("data", [])
            if message["msg"] == "process_generating":
                kept = zip(values, data, strict=True)
                values = [apply_diff(*one) for one in kept] if values else data
            elif message["msg"] == "process_completed":
                if not message["success"]:
                    raise RuntimeError(message["output"].get("error"))
                break
        return values

    def _messages(self) -> Iterator[dict[str, Any]]:
        asked = {"session_hash": self.session}
        with self.http.stream("GET", "gradio_api/queue/data", params=asked) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("event_id") == self.job:
                    yield message

    def _uploaded(self, upload: Path | str) -> str:
        with open(upload, "rb") as file:
            answer = self.http.post("gradio_api/upload", files={"files": file})
        (path,) = answer.raise_for_status().json()
        return path


def said_of(values: Sequence[Any]) -> list[str]:
    """The answers on a page, or the sentence that stands there as a `RuntimeError`."""
    html = [value for value in values if isinstance(value, str)]
    if alerts := [plain(one) for value in html for one in ALERT.findall(value)]:
        raise RuntimeError(alerts[0])
    return [plain(one) for value in html for one in ANSWER.findall(value)]


def plain(html: str) -> str:
    return spaced(unescape(TAG.sub("", html)))


def spaced(text: str) -> str:
    """The words a space apart, as HTML has them."""
    return " ".join(text.split())
