"""All threads share a few arenas of memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from app.guard.allocator import ARENAS, limit_arenas

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
start = threading.Barrier(16)
places = []

def take():
    start.wait()
    places.append(libc.malloc(1000) >> 26)  # an arena beside the first is aligned to 64 MB
    start.wait()

held = limit_arenas()
threads = [threading.Thread(target=take) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(held, len(set(places)) <= ARENAS)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_a_few_arenas():
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert said.stdout.split() == ["True", "True"], said.stderr
