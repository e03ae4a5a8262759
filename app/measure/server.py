"""Serves the page from a separate process, as a user starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


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
