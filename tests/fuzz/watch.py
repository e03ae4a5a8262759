"""Detects with inotify whether any process opens a file of a folder."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_OPENED = 0x20  # IN_OPEN of <sys/inotify.h>


class Watch:
    """Watches a folder from its creation on."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if (
            self._events < 0
            or libc.inotify_add_watch(self._events, os.fsencode(folder), ctypes.c_uint32(_OPENED))
            < 0
        ):
            raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")

    def opened(self) -> bool:
        """Whether a file was opened since the last call."""
        try:
            return bool(os.read(self._events, 1 << 16))
        except BlockingIOError:
            return False
