"""A folder takes no more than it has room for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.guard.folder_quota import BLOCK, OFTEN, FolderQuota, size_of

pytestmark = pytest.mark.security


def test_the_size_is_of_all_files_and_counts_the_smallest_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    size = size_of(tmp_path)
    assert 100_000 < size < 100_000 + 4 * BLOCK
    for index in range(100):
        (tmp_path / str(index)).touch()
    assert size_of(tmp_path) >= size + 100 * BLOCK
    assert size_of(tmp_path / "gone") == 0


def test_what_was_let_in_counts_until_it_is_seen_to_be_there(tmp_path):
    now = [0.0]
    room = FolderQuota(tmp_path, 100_000, clock=lambda: now[0])

    async def visits():
        first = await room.let_in(60_000)
        assert first and await room.let_in(60_000) is None
        first.complete = True
        assert await room.let_in(60_000) is None, "not looked for yet"
        (tmp_path / "first").write_bytes(b"x" * 50_000)
        now[0] += OFTEN
        assert await room.let_in(60_000) is None, "it is there"
        slow = await room.let_in(40_000)
        assert slow
        (tmp_path / "first").unlink()
        now[0] += OFTEN
        assert await room.let_in(70_000) is None, "it is still coming"
        slow.complete = True
        now[0] += OFTEN
        assert await room.let_in(70_000)

    asyncio.run(visits())


def test_a_folder_is_looked_through_seldom_and_beside_the_servers_loop(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(
        "app.guard.folder_quota.size_of",
        lambda _: looked.append(threading.current_thread()) or 0,
    )
    now = [0.0]
    room = FolderQuota(tmp_path, 100_000, clock=lambda: now[0])

    async def visits():
        for _ in range(10):
            await room.let_in(1)
        now[0] += OFTEN
        await room.let_in(1)

    asyncio.run(visits())
    assert len(looked) == 2 and threading.main_thread() not in looked
