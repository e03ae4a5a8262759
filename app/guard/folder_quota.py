"""How much more a folder takes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

OFTEN = 5  # seconds between two looks at how much is in it
BLOCK = 4096  # bytes that a file or folder takes beside what is in it


def size_of(folder: Path) -> int:
    """Bytes on disk, about, of all that is under it."""
    size = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # swept meanwhile
                size += os.lstat(os.path.join(parent, name)).st_size + BLOCK
    return size


@dataclass(eq=False)
class Arrival:
    """Bytes that were let in, and whether all of them have come."""

    size: int
    complete: bool = False


class FolderQuota:
    """Lets into a folder what it has room for below `most` bytes.

    To look through the folder takes a while, so it is done seldom, beside the server's own loop;
    between two looks, and until it is there, what was let in counts for what it said it was.
    """

    def __init__(
        self, folder: Path, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.most, self.clock = folder, most, clock
        self._size, self._looked = 0, -float("inf")
        self._arrivals: set[Arrival] = set()
        self._lock = asyncio.Lock()

    async def let_in(self, size: int) -> Arrival | None:
        """Mark what is given `complete` once it has come or broken off; None = there is no room."""
        async with self._lock:
            if self.clock() - self._looked >= OFTEN:
                await self._look()
            if self._size + sum(one.size for one in self._arrivals) + size > self.most:
                return None
            arrival = Arrival(size)
            self._arrivals.add(arrival)
            return arrival

    async def _look(self) -> None:
        seen = {one for one in self._arrivals if one.complete}
        self._size = await anyio.to_thread.run_sync(size_of, self.folder)
        self._arrivals -= seen
        self._looked = self.clock()
