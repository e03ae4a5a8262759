"""The upload folder stays below its quota."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.guard.folder_quota import BLOCK, SCAN_SECONDS, FolderQuota, folder_bytes

pytestmark = pytest.mark.security


def test_the_size_counts_all_files_and_empty_ones_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    size = folder_bytes(tmp_path)
    assert 100_000 < size < 100_000 + 4 * BLOCK
    for index in range(100):
        (tmp_path / str(index)).touch()
    assert folder_bytes(tmp_path) >= size + 100 * BLOCK
    assert folder_bytes(tmp_path / "gone") == 0


def test_a_reservation_counts_until_a_scan_has_seen_its_file(tmp_path):
    now = [0.0]
    quota = FolderQuota(tmp_path, 100_000, clock=lambda: now[0])

    async def reserve():
        first = await quota.reserve(60_000)
        assert first and await quota.reserve(60_000) is None
        first.complete = True
        assert await quota.reserve(60_000) is None, "not scanned yet"
        (tmp_path / "first").write_bytes(b"x" * 50_000)
        now[0] += SCAN_SECONDS
        assert await quota.reserve(60_000) is None, "the file is there"
        slow = await quota.reserve(40_000)
        assert slow
        (tmp_path / "first").unlink()
        now[0] += SCAN_SECONDS
        assert await quota.reserve(70_000) is None, "the upload has not ended"
        slow.complete = True
        now[0] += SCAN_SECONDS
        assert await quota.reserve(70_000)

    asyncio.run(reserve())


def test_a_scan_is_rare_and_runs_in_a_thread(tmp_path, monkeypatch):
    threads = []
    monkeypatch.setattr(
        "app.guard.folder_quota.folder_bytes",
        lambda _: threads.append(threading.current_thread()) or 0,
    )
    now = [0.0]
    quota = FolderQuota(tmp_path, 100_000, clock=lambda: now[0])

    async def reserve():
        for _ in range(10):
            await quota.reserve(1)
        now[0] += SCAN_SECONDS
        await quota.reserve(1)

    asyncio.run(reserve())
    assert len(threads) == 2 and threading.main_thread() not in threads
