"""The page answers each odd request or refuses it with a status and a sentence."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from PIL import Image

from app.page.api import EXTRAS, FIELDS
from app.page.build import build, launch
from app.settings import Settings
from app.worker.start import start_worker
from tests.app import factory
from tests.fuzz.watch import Watch

SECRET = "nobody's business"
NAMES = (*FIELDS[1:], *EXTRAS)  # after the upload
SOUND = {
    "question": ("Where is the red ball?", "What is left of the tree?"),
    "model": ("", "embedded-image"),
    "methods": (None, ["nuwa"], ["visionzip.before+fastv.inner"], "pooling"),
    "retention_ratio": (0.1, 0.5, 1),
    "max_new_tokens": (1, 64, 64.0),
    "temperature": (0, 0.7),
    "seed": (0, 7),
    "positions": ("published", "rpme"),
    "num_frames": (None, 8),
    "gaze": ("", "0.3,0.5 0.7,0.2"),
    "overlays": (False, True),
    "arrays": (False, True),
}
ODD = (None, "", " ", -1, 0, 1e308, -1e308, 2**64, True, "0.5", "a" * 5000, "\x00", "\udcff", "٣")
ODD += ([], [[]], [None], ["nuwa"] * 50, ["../../x"], {}, {"a": {"b": []}}, "${7*7}", "{{7*7}}")
ODD += ("<script>1</script>", "nuwa:gone", "nuwa.before+" * 40, "'; drop table", "vanilla", "NaN")
ROUTES = (
    "file={}",
    "file/{}",
    "proxy={}",
    "stream/{}",
    "call/{}",
    "run/{}",
    "info?{}",
    "deep_link?{}",
)
ROUTES += ("call/compare/{}", "upload_progress?upload_id={}", "queue/data?session_hash={}", "{}")


class Requests:
    """A served page with a real worker, and a program that sends hostile requests."""

    def __init__(self, folder: Path) -> None:
        private = folder / "private"
        private.mkdir(exist_ok=True)
        self.secret = private / "secret.txt"
        self.secret.write_text(SECRET)
        self.watch = Watch(private)
        settings = Settings(max_requests_per_minute=0, device="cpu")
        self.demo = build(start_worker(settings), settings)
        _, url, _ = launch(self.demo, settings, prevent_thread_lock=True, quiet=True)
        self.host = urlsplit(url).netloc
        picture = folder / "ball.png"
        Image.fromarray(factory.picture(64, 48)).save(picture)
        self.uploaded = self._upload(picture.read_bytes())

    def fuzz(self, count: int, seed: int) -> tuple[Counter[str], list[str]]:
        """Outcomes of `count` requests by kind, and a sentence for each failure."""
        outcomes: Counter[str] = Counter()
        wrong: list[str] = []
        for number in range(count):
            chance = random.Random(f"{seed} request {number}")
            ask = self._compare if chance.random() < 0.6 else self._wander
            try:
                outcome, complaint = ask(chance)
            except Exception as error:
                outcome, complaint = "crashed", repr(error)
            if self.watch.opened():
                complaint = "a file that is no upload was opened"
            outcomes[outcome] += 1
            if complaint:
                wrong.append(f"request {number} of seed {seed}: {complaint}")
        return outcomes, wrong

    def _compare(self, chance: random.Random) -> tuple[str, str]:
        """One comparison, with up to two arguments that are odd."""
        values = {name: chance.choice(SOUND[name]) for name in NAMES}
        upload: Any = {"path": self.uploaded, "meta": {"_type": "gradio.FileData"}}
        for name in chance.sample((*NAMES, "upload"), chance.choice((0, 1, 1, 2))):
            if name == "upload":
                upload = self._odd_upload(chance)
            else:
                values[name] = chance.choice(ODD)
        data = [upload, *values.values()]
        if chance.random() < 0.05:
            data = data[: chance.randrange(len(data))]
        status, body = self._ask("POST", "/gradio_api/call/compare", json.dumps({"data": data}))
        if status != 200:
            return _judged(status, body)
        event = json.loads(body)["event_id"]
        status, body = self._ask("GET", f"/gradio_api/call/compare/{event}")
        if _leaks(body):
            return "leaked", "a secret came back"
        outcome, complaint = _judged_event(body)
        return outcome, f"{complaint} {json.dumps(data)[:300]}" if complaint else ""

    def _odd_upload(self, chance: random.Random) -> Any:
        meta = {"_type": "gradio.FileData"}
        paths = (str(self.secret), f"file://{self.secret}", "/etc/passwd", "../../../etc/passwd")
        paths += (
            "http://192.0.2.1/x.png",
            f"{self.uploaded}/../../../{self.secret}",
            "",
            ".",
            "\x00",
        )
        return chance.choice(
            (
                *({"path": path, "meta": meta} for path in paths),
                *({"path": self.uploaded, "url": path, "meta": meta} for path in paths),
                *({"path": path} for path in paths),
                {"url": "data:image/png;base64,AAAA", "path": "x"},
                {"url": "data:text/html,<script>", "path": "x", "meta": meta},
                {"path": None, "meta": meta},
                {"path": [], "meta": meta},
                {"path": self.uploaded, "is_stream": True, "meta": meta},
                *ODD,
            )
        )

    def _wander(self, chance: random.Random) -> tuple[str, str]:
        """A route of Gradio's, or none, with an odd end, method and body."""
        ends = (str(self.secret), "/etc/passwd", "../../etc/passwd", "http://192.0.2.1/", "compare")
        ends += ("predict", "..%2f..%2fetc%2fpasswd", "a" * 3000, "%00", "session_hash=a", "{}", "")
        path = chance.choice(ROUTES).format(quote(chance.choice(ends), safe="/:%=?"))
        method = chance.choice(("GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"))
        bodies = ("", "{}", "[]", "null", '{"data": 5}', '{"data": []}', "{", "\x00", "[" * 5000)
        bodies += (
            json.dumps({"data": [], "fn_index": chance.randint(-3, 40), "session_hash": "a"}),
        )
        status, body = self._ask(
            method, f"/gradio_api/{path}", chance.choice(bodies), head_only=True
        )
        if _leaks(body):
            return "leaked", f"a secret came back from {path[:80]}"
        return _judged(status, body)

    def _ask(
        self, method: str, path: str, body: str = "", *, head_only: bool = False
    ) -> tuple[int, str]:
        """Status and text; a stream that may never end is not read."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        try:
            sent = body.encode(errors="surrogatepass")
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            streams = "event-stream" in answer.getheader("Content-Type", "")
            content = b"" if streams and head_only else answer.read()
            return answer.status, content.decode(errors="replace")
        finally:
            connection.close()

    def _upload(self, content: bytes) -> str:
        """The path of the upload on the server."""
        edge = "edge"
        head = (
            f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="ball.png"\r\n\r\n'
        )
        body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
        connection = http.client.HTTPConnection(self.host, timeout=120)
        kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        connection.request("POST", "/gradio_api/upload", body, kind)
        (path,) = json.loads(connection.getresponse().read())
        connection.close()
        return str(path)


def _leaks(body: str) -> bool:
    return SECRET in body or "root:x:0" in body


def _judged(status: int, body: str) -> tuple[str, str]:
    if status >= 500 and status != 503:
        return "crashed", f"status {status}: {body[:200]!r}"
    return ("answered" if status < 400 else "refused"), ""


def _judged_event(body: str) -> tuple[str, str]:
    """The outcome of a comparison: a result, or an error with a sentence."""
    *_, last = [part for part in body.split("\n\n") if part.strip()] or [""]
    kind, _, data = last.partition("\n")
    told = data.removeprefix("data: ")
    if kind == "event: complete":
        return "answered", told if "internal error" in told else ""
    error = json.loads(told) if told else None
    sentence = error.get("error") if isinstance(error, dict) else error
    clear = isinstance(sentence, str) and len(sentence) > 10
    return "refused", "" if clear else f"no clear error: {body[-200:]!r}"
