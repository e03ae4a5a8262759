"""Opens one upload in a separate process; `app.reading.child` explains why."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from app.reading.recordings import Files
from app.reading.wire import UNCONFINED, FailedError, Order, unpack, unpack_files
from app.settings import ROOT, Settings
from models.uploads.media import Limits, Media, MediaError, short_name
from models.uploads.read import local_file

log = logging.getLogger(__name__)

START_SECONDS = 60  # for the child to import its decoders, on a busy machine
GRACE_SECONDS = 2  # in which an overdue fork ends by itself, without the child
CHUNK = 1 << 20  # bytes
POLL_SECONDS = 0.1  # between two checks for cancellation
STOPPED = "The reading was stopped."
LEFT = "this system leaves %s to the process that reads uploads"
ENVIRONMENT = {  # not the page's own, which may hold passwords and tokens
    "PATH": os.defpath,
    "PYTHONPATH": str(ROOT),
    "OPENBLAS_NUM_THREADS": "1",  # a process that forks has one thread
    "MALLOC_ARENA_MAX": "2",  # otherwise each thread reserves address space, which is limited
}


def limits_of(settings: Settings) -> Limits:
    return Limits(
        bytes=settings.max_upload_mb * 1_000_000,
        pixels=settings.max_megapixels * 1_000_000,
        seconds=settings.max_clip_seconds,
        frames=settings.max_clip_frames,
    )


class Reader:
    """Keeps one child ready, reads one file at a time, and replaces a child that has ended.

    Not thread-safe: use it through `app.reading.pool`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.limits = settings, limits_of(settings)
        self._child: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self.confined: dict[str, bool] | None = None  # limits that the ready child could set

    def read(
        self, path: str | Path, num_frames: int | None, cancelled: threading.Event | None = None
    ) -> Media | Files:
        """A picture or clip, or, if `num_frames` is None, the files of a recording.

        Raises `MediaError` only, also when the process ends or `cancelled` is set.
        """
        settings, file = self.settings, Path(os.path.abspath(local_file(path)))
        cancelled = cancelled or threading.Event()
        order = Order(
            file,
            num_frames,
            self.limits,
            memory=settings.max_read_memory_mb * 1_000_000,
            cpu_seconds=settings.max_read_cpu_seconds,
            seconds=settings.max_read_seconds,
        )
        deadline, identity = time.monotonic() + order.seconds, _identity(file)
        while True:
            try:
                return self._read(order, cancelled)
            except MediaError:
                before, identity = identity, _identity(file)
                if before == identity or cancelled.is_set() or time.monotonic() > deadline:
                    raise  # otherwise the same upload came again and replaced the file: repeat

    def _read(self, order: Order, cancelled: threading.Event) -> Media | Files:
        file = order.path
        answer, ended = self._send(order, cancelled)
        if cancelled.is_set():
            raise MediaError(STOPPED)
        try:
            return unpack_files(answer) if order.num_frames is None else unpack(answer)
        except MediaError:
            raise
        except FailedError as error:
            log.error("reading failed", extra={"failed": str(error), "ended": ended})
            raise MediaError(self._why(short_name(file), ended)) from error
        except (ValueError, KeyError, TypeError) as error:
            log.error("no answer of a reading", extra={"ended": ended}, exc_info=error)
            raise MediaError(self._why(short_name(file), ended)) from error

    def start(self) -> None:
        """Start a child, which imports its decoders in the background."""
        if self._child is not None and self._child.poll() is None:
            return
        self._stop()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-B", "-m", "app.reading.child", str(theirs.fileno())],
                cwd=ROOT,
                env=ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # decoders and tracebacks quote the file
                start_new_session=True,  # killed with its fork, and not by Ctrl-C
            )
        self.confined = None

    def _send(self, order: Order, cancelled: threading.Event) -> tuple[bytearray, int]:
        """The raw answer, and the exit status of the fork or minus its signal."""
        for _ in range(2):  # a child that ended while idle is replaced without an error
            self.start()
            with contextlib.suppress(OSError, ValueError):
                self._greet(cancelled)
                if cancelled.is_set():
                    break
                out, into = os.pipe()
                with open(out, "rb", buffering=0) as pipe:
                    with open(into, "wb", buffering=0):
                        socket.send_fds(self._control, [order.pack()], [into])
                    answer, ended = self._take(pipe.fileno(), order, cancelled)
                    self._check(ended)
                    return answer, ended
            self._stop()
        if cancelled.is_set():  # the child goes on starting, for the next upload
            raise MediaError(STOPPED)
        log.error("no process that reads: `python -m app.reading.child 0` shows what it lacks")
        raise MediaError("The process that reads uploads does not start; try again later.")

    def _greet(self, cancelled: threading.Event) -> None:
        """Wait until the child is ready or the reading cancelled."""
        if self.confined is not None:
            return
        if _readable(self._control, time.monotonic() + START_SECONDS, cancelled):
            self.confined = json.loads(self._control.recv(CHUNK))
            for what, holds in self.confined.items():
                if not holds:
                    log.warning(LEFT, what)
        elif not cancelled.is_set():
            raise TimeoutError("The child does not start.")

    def _check(self, ended: int) -> None:
        """Warn once for each child whose forks read unconfined."""
        if ended == UNCONFINED and self.confined["files"]:
            self.confined["files"] = False
            log.warning(LEFT, "files")

    def _take(self, pipe: int, order: Order, cancelled: threading.Event) -> tuple[bytearray, int]:
        """Receive the answer within the limits of time and memory, or until cancelled."""
        answer, chunk = bytearray(), b"?"
        deadline = time.monotonic() + order.seconds + GRACE_SECONDS
        while chunk and len(answer) <= order.memory:
            if not _readable(pipe, deadline, cancelled):
                self._stop()
                return bytearray(), -signal.SIGALRM
            chunk = os.read(pipe, CHUNK)
            answer += chunk
        try:
            if chunk or not _readable(self._control, deadline, cancelled):
                raise TimeoutError("The fork sends too much, or does not end.")
            return answer, json.loads(self._control.recv(CHUNK))
        except (OSError, ValueError):  # the child has ended or must be ended
            self._stop()
            return answer, -signal.SIGKILL

    def _stop(self) -> None:
        """Kill the child and its fork."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._control.close()
        self._child = self._control = None

    def _why(self, name: str, ended: int) -> str:
        settings = self.settings
        if ended == -signal.SIGALRM:
            return f"{name} takes longer than {settings.max_read_seconds} s to read; cut it first."
        if ended == -signal.SIGXCPU:
            most = f"{settings.max_read_cpu_seconds} s of a processor"
            return f"{name} takes more than {most} to read; cut it, or save it smaller."
        if ended in (0, UNCONFINED):
            return f"{name} cannot be read: its reader failed on it; save the file anew."
        return (
            f"The process that reads uploads was stopped while it read {name}. It starts again "
            f"by itself, and the upload is still there: try again, or save the file anew."
        )


def _identity(file: Path) -> tuple[int, int] | None:
    """Differs for a file that replaces another one under the same path."""
    with contextlib.suppress(OSError):
        status = file.stat()
        return status.st_ino, status.st_ctime_ns
    return None


def _readable(channel: socket.socket | int, deadline: float, cancelled: threading.Event) -> bool:
    """Wait for data or its end; False after the deadline or when cancelled."""
    with selectors.DefaultSelector() as ready:
        ready.register(channel, selectors.EVENT_READ)
        while time.monotonic() < deadline and not cancelled.is_set():
            if ready.select(POLL_SECONDS):
                return True
    return False
