"""Sandbox of a process that opens a stranger's file: no other files, no network, few resources.

Resource limits hold on every POSIX system. The other limits need Linux, and a container or an old
kernel may lack them: each function returns whether it succeeded.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path

# <linux/sched.h>, <linux/prctl.h>
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES = 38

# <linux/landlock.h>, and its three system calls, the same on every architecture in use
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag: ask which version the kernel speaks
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # version: how many rights on files it knows; then 16
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS = 0b11, 0b11
_PATH_BENEATH, _READ_FILE, _READ_FOLDER = 1, 1 << 2, 1 << 3


def limit_resources(memory: int, cpu_seconds: int, seconds: int) -> None:
    """Limit the additional memory in bytes, the CPU time of all cores and the wall-clock time."""
    signal.alarm(seconds)
    most = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,  # no file is written
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # elsewhere the kernel does not count address space
        most[resource.RLIMIT_AS] = _address_space() + memory
    for kind, value in most.items():
        _, already = resource.getrlimit(kind)  # keep a lower limit
        hard = value + 1 if already == resource.RLIM_INFINITY else min(value + 1, already)
        resource.setrlimit(kind, (min(value, hard), hard))  # its signal names the soft limit


def close_network() -> bool:
    """Remove the network of this process and its children; False where the system forbids it.

    Most systems allow it in a new user namespace.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    return libc.unshare(_NEW_NETWORK) == 0 or libc.unshare(_NEW_USER | _NEW_NETWORK) == 0


def allow_one_file(path: Path) -> bool:
    """Allow reading of this file and of Python's libraries only; False where it is not enforced.

    Decoders load parts of themselves late, so libraries stay readable. A newer kernel also forbids
    connections and signals to other processes.
    """
    version = landlock_version()
    if version < 1:
        return False
    rights = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    handled = [rights]
    if version >= _NETWORK_SINCE:
        handled.append(_BIND_AND_CONNECT)
    if version >= _SCOPES_SINCE:
        handled.append(_SOCKETS_AND_SIGNALS)
    rules = _call(_CREATE_RULESET, struct.pack(f"={len(handled)}Q", *handled), 8 * len(handled), 0)
    allowed = {str(path): _READ_FILE}
    for folder in filter(os.path.isdir, sys.path):
        if not os.path.samefile(folder, "."):  # not the checkout
            allowed[folder] = _READ_FILE | _READ_FOLDER
    return (
        rules >= 0
        and all(_allow(rules, *one) for one in allowed.items())
        and ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
        and _call(_RESTRICT_SELF, rules, 0) == 0
    )


def landlock_version() -> int:
    """The kernel's version of Landlock; below 1 = none."""
    return _call(_CREATE_RULESET, None, 0, _VERSION) if sys.platform == "linux" else 0


def _allow(rules: int, path: str, right: int) -> bool:
    place = os.open(path, os.O_PATH)
    try:
        return _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", right, place), 0) == 0
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None)
    libc.syscall.restype = ctypes.c_long
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(libc.syscall(ctypes.c_long(number), *wide))


def _address_space() -> int:
    """Mapped bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
