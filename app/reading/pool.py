"""A pool of readers: the only way to read an upload."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.reading.reader import POLL_SECONDS, STOPPED, Reader
from app.reading.recordings import Files
from app.settings import Settings
from models.uploads.media import Media, MediaError


def read_upload(
    path: str | Path,
    num_frames: int,
    settings: Settings,
    cancelled: threading.Event | None = None,
) -> Media:
    """`models.uploads.read.read_media` in a confined process.

    Pages, programs and the command line all read through this function. Raises `MediaError` for a
    refused file, and as soon as `cancelled` is set.
    """
    return pool(settings).read(path, num_frames, cancelled)


def read_recording(
    path: str | Path, settings: Settings, cancelled: threading.Event | None = None
) -> Files:
    """`app.reading.recordings.open_zip` in a confined process. Raises as `read_upload`."""
    return pool(settings).read(path, None, cancelled)


@lru_cache(maxsize=4)
def pool(settings: Settings) -> Pool:
    """The pool of these settings."""
    return Pool(settings)


class Pool:
    """Reads `read_at_once` uploads in parallel; further ones wait in order of arrival."""

    def __init__(self, settings: Settings) -> None:
        # Taken from the end: the last reader used has a child that is ready.
        self.free = [Reader(settings) for _ in range(settings.read_at_once)]
        self.waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def start(self) -> None:
        """Start the first reader's child in the background; the others start when needed."""
        with self.lent(threading.Event()) as reader:
            reader.start()

    def read(
        self, path: str | Path, num_frames: int | None, cancelled: threading.Event | None = None
    ) -> Any:
        cancelled = cancelled or threading.Event()
        with self.lent(cancelled) as reader:
            return reader.read(path, num_frames, cancelled)

    @contextmanager
    def lent(self, cancelled: threading.Event) -> Iterator[Reader]:
        """Exclusive use of a reader. Raises `MediaError` when cancelled while waiting for one."""
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
                    self._changed.wait(POLL_SECONDS)
                return self.free.pop()
            finally:
                self.waiting.remove(place)
                self._changed.notify_all()  # another reader may be free for the next one
