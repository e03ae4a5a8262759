"""A small hub on this machine: the three paths of its protocol that a fetch asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.models.hub_cache import COMMIT


class Handler(BaseHTTPRequestHandler):
    """Serves one repository from a folder; `asked` lists the files whose content was read."""

    def __init__(self, repository: str, folder: Path, asked: list[str], *request) -> None:
        self.repository, self.folder, self.asked = repository, folder, asked
        super().__init__(*request)

    def do_HEAD(self) -> None:
        self.do_GET(content=False)

    def do_GET(self, content: bool = True) -> None:
        path = self.path.partition("?")[0]
        api, resolve = f"/api/models/{self.repository}", f"/{self.repository}/resolve/{COMMIT}/"
        if path == f"{api}/revision/main":
            self.answer(json.dumps({"id": self.repository, "sha": COMMIT}).encode())
        elif path == f"{api}/tree/{COMMIT}":
            self.answer(json.dumps([self.entry(one) for one in self.files()]).encode())
        elif path.startswith(resolve):
            self.send_file(path.removeprefix(resolve), content)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def entry(self, path: Path) -> dict[str, object]:
        digest = hashlib.sha1(path.read_bytes()).hexdigest()
        name = path.relative_to(self.folder).as_posix()
        return {"type": "file", "path": name, "size": path.stat().st_size, "oid": digest}

    def send_file(self, name: str, content: bool) -> None:
        data = (self.folder / name).read_bytes()
        etag = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if content:
            self.asked.append(name)
        self.answer(data, content, etag)

    def answer(self, data: bytes, content: bool = True, headers: dict[str, str] = {}) -> None:  # noqa: B006
        self.send_response(200)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if content:
            self.wfile.write(data)

    def log_message(self, *line: object) -> None:
        pass


@contextmanager
def serving(repository: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of the hub, and the files that were read from it so far."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, repository, folder, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
