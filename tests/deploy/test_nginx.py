"""The nginx fragment of docs/deploy.md, in front of a page: answers stream, the proxy is shut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app.settings import ROOT, Settings
from app.ui.build import build, launch
from tests.app import factory
from tests.app.fake_worker import FakeWorker
from tests.deploy.ports import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
FRAGMENT = ROOT / "docs" / "nginx.conf"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture(scope="module")
def behind(tmp_path_factory) -> Iterator[str]:
    """A page behind nginx; only the two ports are changed in the fragment."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    demo = build(FakeWorker(), Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True)
    fragment = FRAGMENT.read_text().replace("127.0.0.1:7860", url.split("//")[1].strip("/"))
    (folder / "fragment.conf").write_text(fragment.replace("listen 8080", f"listen {port}"))
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
    server = subprocess.Popen([NGINX, "-e", "stderr", "-c", config], stderr=subprocess.PIPE)
    try:
        await_port(port, server)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(timeout=10)
        demo.close(verbose=False)


def await_port(port: int, server: subprocess.Popen) -> None:
    for _ in range(100):
        assert server.poll() is None, server.stderr.read().decode()
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
def test_addresses_of_the_web_are_refused_at_the_door(behind, route):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{behind}gradio_api/{route}")
    assert refused.value.code == 403


def test_who_asks_too_fast_is_told_to_wait(behind):
    codes = []
    for _ in range(40):
        request = urllib.request.Request(f"{behind}gradio_api/call/nothing", data=b"{}")
        try:
            codes.append(urllib.request.urlopen(request).status)
        except urllib.error.HTTPError as error:
            codes.append(error.code)
    assert 429 in codes and codes[0] != 429
