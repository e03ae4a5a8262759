"""Limits the memory pools of the C library, so that the page's process does not grow."""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>
ARENAS = 2


def limit_arenas() -> bool:
    """Let all threads share two glibc arenas; False where the system has none.

    By default glibc gives up to eight arenas a core, and a thread cannot use memory that another
    one freed: a page with many threads grows (`make load` shows it).
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, ARENAS))
    except AttributeError:  # another C library
        return False
