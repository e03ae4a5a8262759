"""The sandbox leaves a process no other file, no network and limited resources."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from app.reading.reader import Reader
from app.reading.sandbox import landlock_version
from app.settings import ROOT, Settings

pytestmark = pytest.mark.security

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
LANDLOCK = pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")


def confined(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program that confines itself."""
    head = "from pathlib import Path; import sys, socket\nfrom app.reading.sandbox import *\n"
    return subprocess.run(
        [sys.executable, "-c", head + program, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_reading_that_takes_too_much_of_the_processor_is_ended():
    ended = confined("limit_resources(10**9, 1, 60)\nwhile True: pass").returncode
    assert ended == -signal.SIGXCPU
    assert "a.mp4 takes more than 240 s of a processor" in Reader(Settings())._why("a.mp4", ended)


@LANDLOCK
def test_no_file_but_the_upload_can_be_opened(tmp_path):
    for name in ("mine", "yours"):
        (tmp_path / name).write_text(name)
    program = """
print(allow_one_file(Path(sys.argv[1])), open(sys.argv[1]).read())
other = sys.argv[2]
for path, mode in ((other, "r"), (sys.argv[1], "w"), (other + "2", "w"), ("README.md", "r")):
    try:
        print(open(path, mode))
    except PermissionError:
        print("refused")
"""
    output = confined(program, tmp_path / "mine", tmp_path / "yours").stdout.splitlines()
    assert output == ["True mine", *["refused"] * 4]


@LINUX
def test_no_server_can_be_reached_where_the_system_allows_that_limit():
    program = """
closed = close_network()
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    print(closed, "reached")
except OSError:
    print(closed, "not reached")
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        output = confined(program, server.getsockname()[1]).stdout.strip()
    if output == "False reached":
        pytest.skip("this system does not let a process leave its network")
    assert output == "True not reached"
