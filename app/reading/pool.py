"""The one way to read an upload: some readers, lent to whoever comes first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from app.reading.reader import SECONDS_BETWEEN_LOOKS, STOPPED, Reader
from app.settings import Settings
from models.uploads.media import Media, MediaError


def read_upload(
    path: str | Path,
    num_frames: int,
    settings: Settings,
    cancelled: threading.Event | None = None,
) -> Media:
    """What `models.uploads.read.read_media` gives or refuses, read in a confined process.

    Pages, programs and the command line alike read through here: a file that somebody has on a
    disk came from somewhere too, and there is one way to read. Once `cancelled` is set it raises
    `MediaError`, whether it waits for a reader or reads.
    """
    return pool(settings).read(path, num_frames, cancelled)


@lru_cache(maxsize=4)
def pool(settings: Settings) -> Pool:
    """The one of these settings."""
    return Pool(settings)


class Pool:
    """Reads `read_at_once` uploads at once, so that a slow clip does not hold up all others.

    Whoever finds no reader free waits in the order in which they came.
    """

    def __init__(self, settings: Settings) -> None:
        # Used from the end: the one that read last has a child that is ready.
        self.free = [Reader(settings) for _ in range(settings.read_at_once)]
        self.waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def start(self) -> None:
        """Have the first reader's child import its decoders meanwhile; the others start late."""
        with self.lent(threading.Event()) as reader:
            reader.start()

    def read(
        self, path: str | Path, num_frames: int, cancelled: threading.Event | None = None
    ) -> Media:
        cancelled = cancelled or threading.Event()
        with self.lent(cancelled) as reader:
            return reader.read(path, num_frames, cancelled)

    @contextmanager
    def lent(self, cancelled: threading.Event) -> Iterator[Reader]:
        """A reader for oneself. Raises `MediaError` where it is cancelled before there is one."""
        reader = self._take(cancelled)
        try:
            yield reader
        finally:
            with self._changed:
                self.free.append(reader)
                self._changed.notify_all()

    def _take(self, cancelled: threading.Event) -> Reader:
        place = object()
        with self._changed:
            self.waiting.append(place)
            try:
                while not self.free or self.waiting[0] is not place:
                    if cancelled.is_set():
                        raise MediaError(STOPPED)
                    self._changed.wait(SECONDS_BETWEEN_LOOKS)
                return self.free.pop()
            finally:
                self.waiting.remove(place)
                self._changed.notify_all()  # who comes next may find another one free
