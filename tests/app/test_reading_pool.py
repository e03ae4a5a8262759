"""Uploads are read a few at a time, in order of arrival; a waiting one can be cancelled."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from app.reading.pool import Pool, pool, read_upload
from app.settings import EXAMPLES, Settings
from models.uploads.media import MediaError
from tests.app.fake_worker import wait_until
from tests.models.clips import write

PICTURE = EXAMPLES / "scene-1.png"
NEVER = threading.Event()


def test_the_reader_that_starts_at_launch_is_used_first():
    readers = Pool(Settings())
    readers.start()
    idle, first = readers.free
    assert first._child.poll() is None and idle._child is None
    with readers.lent(NEVER) as reader:
        assert reader is first
    assert readers.read(PICTURE, 1).kind == "image" and idle._child is None


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
def test_a_slow_clip_leaves_a_reader_for_others(tmp_path):
    settings = Settings(read_at_once=2, max_read_seconds=100)  # a pool of this test's own
    clip, read = write(tmp_path / "a.mp4", count=50), []
    read_upload(PICTURE, 1, settings)
    slow = pool(settings).free[-1]
    os.kill(slow._child.pid, signal.SIGSTOP)
    running = threading.Thread(target=lambda: read.append(read_upload(clip, 8, settings)))
    running.start()
    wait_until(lambda: slow not in pool(settings).free)
    assert read_upload(PICTURE, 1, settings).kind == "image"
    assert running.is_alive() and not read, "read in parallel"
    os.kill(slow._child.pid, signal.SIGCONT)
    running.join(60)
    assert read[0].kind == "video"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_uploads_are_read_at_once_as_the_setting_allows(count):
    readers, most, inside = Pool(Settings(read_at_once=count)), 0, []
    lock, together = threading.Lock(), threading.Barrier(count)

    def borrow():
        nonlocal most
        with readers.lent(NEVER) as reader:
            with lock:
                assert reader not in inside
                inside.append(reader)
                most = max(most, len(inside))
            together.wait(60)
            with lock:
                inside.remove(reader)

    threads = [threading.Thread(target=borrow) for _ in range(3 * count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == count == len(readers.free) and not readers.waiting


def test_waiting_uploads_get_a_reader_in_order_of_arrival():
    readers, order = Pool(Settings(read_at_once=1)), []

    def borrow(place):
        with readers.lent(NEVER):
            order.append(place)

    with readers.lent(NEVER):
        threads = [threading.Thread(target=borrow, args=(place,)) for place in range(8)]
        for arrived, thread in enumerate(threads, start=1):
            thread.start()
            wait_until(lambda arrived=arrived: len(readers.waiting) == arrived)
    for thread in threads:
        thread.join(60)
    assert order == list(range(8))


def test_a_waiting_upload_can_be_cancelled_and_the_next_one_follows():
    readers, came = Pool(Settings(read_at_once=1)), threading.Event()
    cancelled = threading.Event()

    def give_up():
        with pytest.raises(MediaError, match="was stopped"):
            readers.read(PICTURE, 1, cancelled)

    def borrow():
        with readers.lent(NEVER):
            came.set()

    first, second = threading.Thread(target=give_up), threading.Thread(target=borrow)
    with readers.lent(NEVER):
        for arrived, thread in enumerate((first, second), start=1):
            thread.start()
            wait_until(lambda arrived=arrived: len(readers.waiting) == arrived)
        cancelled.set()
        first.join(60)
        assert not first.is_alive() and not came.is_set() and len(readers.waiting) == 1
    assert came.wait(60)
    second.join(60)
    assert len(readers.free) == 1
