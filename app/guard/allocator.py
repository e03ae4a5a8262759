"""How the page's process gets its memory from the C library."""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>
ARENAS = 2


def limit_arenas() -> bool:
    """Have all threads share two of glibc's pools of memory; whether the system can.

    It gives each thread its own, up to eight a core. What one frees the others do not find, and a
    page that serves many visitors from many threads grows on: `make load` shows it.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, ARENAS))
    except AttributeError:  # another C library, which has no such pools
        return False
