"""Quota of the upload folder."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

SCAN_SECONDS = 5  # between two scans of the folder
BLOCK = 4096  # bytes that a file or folder takes beside its content


def folder_bytes(folder: Path) -> int:
    """Approximate bytes on disk of everything in the folder."""
    size = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # deleted during the scan
                size += os.lstat(os.path.join(parent, name)).st_size + BLOCK
    return size


@dataclass(eq=False)
class Reservation:
    """Bytes that a request may write, and whether it has ended."""

    size: int
    complete: bool = False


class FolderQuota:
    """Admits uploads while the folder stays below `most` bytes.

    A scan is slow, so it is rare and runs in a thread. Until a scan has seen an upload, its
    declared size counts.
    """

    def __init__(
        self, folder: Path, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.most, self.clock = folder, most, clock
        self._size, self._scanned = 0, -float("inf")
        self._reservations: set[Reservation] = set()
        self._lock = asyncio.Lock()

    async def reserve(self, size: int) -> Reservation | None:
        """None = the folder is full. The caller sets `complete` when the request has ended."""
        async with self._lock:
            if self.clock() - self._scanned >= SCAN_SECONDS:
                await self._scan()
            if self._size + sum(one.size for one in self._reservations) + size > self.most:
                return None
            reservation = Reservation(size)
            self._reservations.add(reservation)
            return reservation

    async def _scan(self) -> None:
        seen = {one for one in self._reservations if one.complete}
        self._size = await anyio.to_thread.run_sync(folder_bytes, self.folder)
        self._reservations -= seen
        self._scanned = self.clock()
