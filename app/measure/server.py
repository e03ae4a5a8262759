"""Serves the page from a separate process, as a user starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def serve_page(**environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Starts the page on the loopback; gives its address and process once it answers."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--port", f"{port}"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        wait_for(address)
        yield address, server
    finally:
        server.terminate()
        server.wait()


def used_by(pid: int) -> float:
    """Seconds of processor time of a process and of all that it started, on Linux."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            one = int(path.parent.name)
            parents[one] = int(fields[1])
            used[one] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return sum(used[one] for one in used if pid in _line(one, parents))


def _line(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    """A process, its parent, and so on."""
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:  # refused, reset or late
            time.sleep(0.1)
    raise RuntimeError(f"The page did not answer within {seconds:.0f} s.")
