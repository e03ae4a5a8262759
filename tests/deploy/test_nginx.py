"""The nginx fragment of docs/deploy.md streams answers and refuses web addresses."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app.page.build import build, launch
from app.settings import ROOT, Settings
from tests.app import factory
from tests.app.fake_worker import FakeWorker
from tests.deploy.ports import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
FRAGMENT = ROOT / "docs" / "nginx.conf"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture(scope="module")
def behind(tmp_path_factory) -> Iterator[str]:
    """A page behind nginx; the fragment has other ports."""
    demo = build(FakeWorker(), Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True)
    try:
        folder = tmp_path_factory.mktemp("nginx")
        with nginx(folder, FRAGMENT.read_text(), urlsplit(url).netloc) as address:
            yield address
    finally:
        demo.close(verbose=False)


@contextmanager
def nginx(folder: Path, fragment: str, page: str) -> Iterator[str]:
    """The address of nginx in front of a page; it logs to `folder/log`."""
    port = free_port()
    fragment = fragment.replace("127.0.0.1:7860", page).replace("listen 8080", f"listen {port}")
    (folder / "fragment.conf").write_text(fragment)
    paths = " ".join(
        f"{kind}_temp_path {folder / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    as_root = "user root;" if os.geteuid() == 0 else ""  # else its workers may not write here
    config.write_text(
        f"{as_root} daemon off; pid {folder / 'pid'}; error_log stderr; events {{}}\n"
        f"http {{ {paths} include {folder / 'fragment.conf'}; }}\n"
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([NGINX, "-e", "stderr", "-c", config], stderr=log)
        try:
            await_port(port, server, folder / "log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(timeout=10)


def await_port(port: int, server: subprocess.Popen, log: Path) -> None:
    for _ in range(100):
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx did not start")


def test_a_question_through_nginx_is_answered(behind, tmp_path):
    picture = tmp_path / "ball.png"
    Image.fromarray(factory.picture(320, 240)).save(picture)
    client = Client(behind, verbose=False)
    told = client.predict(handle_file(picture), "What is this?", api_name="/compare")
    assert next(lane["method"] for lane in told["lanes"]) == "vanilla"


def test_what_is_said_comes_through_before_the_answer_ends(behind):
    with urllib.request.urlopen(f"{behind}gradio_api/heartbeat/a-tab", timeout=5) as endless:
        assert endless.readline()


@pytest.mark.parametrize("route", ["file=http://example.org/x", "FILE=HTTPS://example.org/x"])
def test_web_addresses_are_refused(behind, route):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{behind}gradio_api/{route}")
    assert refused.value.code == 403


def test_requests_above_the_rate_get_429(behind):
    codes = [status(f"{behind}gradio_api/call/nothing", b"{}") for _ in range(40)]
    assert 429 in codes and codes[0] != 429


def status(address: str, data: bytes | None = None) -> int:
    try:
        return urllib.request.urlopen(urllib.request.Request(address, data), timeout=60).status
    except urllib.error.HTTPError as refused:
        return refused.code


def written_of_failures(folder: Path, fragment: str) -> str:
    """What nginx writes after a 429, a 502 and a 500 of one client."""
    folder.mkdir()
    with nginx(folder, fragment, f"127.0.0.1:{free_port()}") as address:  # nothing listens there
        codes = {status(f"{address}gradio_api/upload?upload_id=secret", b"x") for _ in range(40)}
        codes.add(status(f"{address}gradio_api/file=secret.png"))
        shutil.rmtree(folder / "client_body")  # as full as a disk can be
        codes.add(status(f"{address}gradio_api/run/secret", b"x" * 100_000))
    assert codes == {429, 500, 502}
    return (folder / "log").read_text()


def test_what_fails_is_written_down_of_no_client_and_no_file(tmp_path):
    fragment = FRAGMENT.read_text()
    written = written_of_failures(tmp_path / "silent", fragment)
    assert "127.0.0.1" not in written and "secret" not in written
    written = written_of_failures(tmp_path / "talkative", re.sub("error_log.*;", "", fragment))
    assert "limiting requests" in written and "client: 127.0.0.1" in written
    assert "upstream" in written and "secret.png" in written, "else nothing is proved"
