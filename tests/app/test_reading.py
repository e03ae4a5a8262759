"""Uploads are read in a separate, confined process that is replaced when it ends."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.jobs import read_job
from app.reading import child
from app.reading.reader import Reader
from app.reading.sandbox import landlock_version
from app.reading.wire import UNCONFINED, Order, pack_failure
from app.recording.export import zip_recording
from app.request import Request
from app.settings import EXAMPLES, Settings
from models.uploads.media import LIMITS, Media, MediaError
from models.uploads.read import read_media
from tests.app.fake_worker import FakeWorker
from tests.app.waiting import reached
from tests.models.clips import write

pytestmark = pytest.mark.security

PICTURE = EXAMPLES / "scene-1.png"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
LANDLOCK = pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def reader():
    return Reader(Settings())


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clips") / "a.mp4", count=250)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def refusal(reader: Reader, path: Path) -> str:
    with pytest.raises(MediaError) as refused:
        reader.read(path, 8)
    assert "\n" not in str(refused.value) and str(path.parent) not in str(refused.value)
    return str(refused.value)


def reading(read: Callable[[], Media]) -> tuple[threading.Thread, list[Media | str]]:
    """A reading in a thread, and the list that gets its media or refusal."""
    results: list[Media | str] = []

    def run():
        try:
            results.append(read())
        except MediaError as error:
            results.append(str(error))

    running = threading.Thread(target=run)
    running.start()
    return running, results


def test_the_process_gives_the_same_media_as_reading_here(reader, clip):
    for path, count in ((PICTURE, 1), (clip, 8)):
        started = time.perf_counter()
        media = reader.read(path, count)
        took = time.perf_counter() - started
        here = read_media(path, count)
        for one in fields(Media):
            if one.name == "read_seconds":
                continue
            assert np.array_equal(getattr(media, one.name), getattr(here, one.name)), one.name
        assert 0 < media.read_seconds < took, "the time of the reading, not of the process"
    assert media.seconds > media.times[-1], "some models get the duration of a clip"


def test_a_refusal_keeps_its_message(reader, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(MediaError) as here:
        read_media(tmp_path / "notes.png", 1)
    assert refusal(reader, tmp_path / "notes.png") == str(here.value)


def test_the_limits_are_those_that_are_set(tmp_path, clip):
    small = Reader(Settings(max_megapixels=1, max_clip_seconds=5, max_upload_mb=1))
    Image.new("RGB", (1100, 1000)).save(tmp_path / "a.png")
    assert "the limit is 1: scale it down" in refusal(small, tmp_path / "a.png")
    assert "the limit is 5 s and 18000 frames" in refusal(small, clip)
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(1_100_000)
    assert "is 1.1 MB; the limit is 1 MB" in refusal(small, tmp_path / "large.png")


@LINUX
def test_a_picture_that_takes_too_much_memory_is_refused_and_reading_goes_on(tmp_path):
    tight = Reader(Settings(max_read_memory_mb=60))
    Image.new("RGB", (6000, 6000)).save(tmp_path / "bomb.png")  # 105 kB, and 108 MB unpacked
    assert "takes more than 60 MB of memory to read" in refusal(tight, tmp_path / "bomb.png")
    assert tight.read(PICTURE, 1).kind == "image"


@LINUX
def test_a_killed_reading_is_reported_and_keeps_the_upload(reader, clip):
    reader.read(PICTURE, 1)
    child, refusals = reader._child.pid, []
    running = threading.Thread(target=lambda: refusals.append(refusal(reader, clip)))
    running.start()
    while not (forks := children(child)):
        assert running.is_alive()
    os.kill(forks[0], signal.SIGKILL)
    running.join(60)
    assert "was stopped while it read a.mp4. It starts again" in refusals[0]
    assert clip.is_file() and len(reader.read(clip, 8).frames) == 8
    assert reader._child.pid == child, "only the fork was killed"


@LINUX
def test_a_child_that_is_killed_is_replaced(reader, clip):
    reader.read(PICTURE, 1)
    child, refusals = reader._child.pid, []
    os.kill(child, signal.SIGKILL)
    reader._child.wait()
    assert reader.read(PICTURE, 1).kind == "image", "it was idle: no error"
    child = reader._child.pid
    running = threading.Thread(target=lambda: refusals.append(refusal(reader, clip)))
    running.start()
    while not (forks := children(child)):
        assert running.is_alive()
    for process in (child, forks[0]):
        os.kill(process, signal.SIGKILL)
    running.join(60)
    assert "was stopped while it read a.mp4" in refusals[0]
    assert reader.read(PICTURE, 1).kind == "image"


@pytest.mark.parametrize(("failing", "times"), [(True, 2), (False, 1)])
def test_a_failed_reading_is_repeated_when_the_file_was_uploaded_again(
    reader, tmp_path, monkeypatch, failing, times
):
    path, sends = Path(shutil.copy(PICTURE, tmp_path)), []
    send = reader._send

    def replaced(order, cancelled):
        sends.append(order)
        if len(sends) > 1:
            return send(order, cancelled)
        os.replace(shutil.copy(PICTURE, tmp_path / "again.png"), path)
        return (pack_failure(OSError()), 0) if failing else send(order, cancelled)

    monkeypatch.setattr(reader, "_send", replaced)
    assert reader.read(path, 1).kind == "image" and len(sends) == times


@LINUX
def test_a_reading_that_takes_too_long_is_ended(clip):
    hasty = Reader(Settings(max_read_seconds=1))
    hasty.read(PICTURE, 1)
    os.kill(hasty._child.pid, signal.SIGSTOP)
    assert "a.mp4 takes longer than 1 s to read" in refusal(hasty, clip)
    assert hasty.read(PICTURE, 1).kind == "image"


@LINUX
def test_a_cancelled_reading_frees_the_reader(reader, clip, monkeypatch):
    reader.read(PICTURE, 1)
    os.kill(reader._child.pid, signal.SIGSTOP)  # it would take its 120 seconds
    cancelled, reads = threading.Event(), reached(monkeypatch, reader, "_take")
    running, results = reading(lambda: reader.read(clip, 8, cancelled))
    assert reads.wait(60) and not results
    cancelled.set()
    running.join(60)
    assert results == ["The reading was stopped."] and reader.read(PICTURE, 1).kind == "image"


@LINUX
def test_a_reading_can_be_cancelled_while_the_child_starts(monkeypatch):
    starting, cancelled = Reader(Settings()), threading.Event()
    starting.start()
    waits = reached(monkeypatch, starting, "_greet")
    child = starting._child.pid
    os.kill(child, signal.SIGSTOP)
    running, results = reading(lambda: starting.read(PICTURE, 1, cancelled))
    assert waits.wait(60)
    cancelled.set()
    running.join(60)
    os.kill(child, signal.SIGCONT)
    assert results == ["The reading was stopped."] and starting.read(PICTURE, 1).kind == "image"
    assert starting._child.pid == child, "it went on starting"


def test_a_reading_that_was_cancelled_gives_nothing(reader):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(MediaError, match="was stopped"):
        reader.read(PICTURE, 1, cancelled)


def test_a_failed_reading_does_not_log_the_name_of_the_file(reader, caplog, monkeypatch):
    answer = json.dumps({"failed": "RuntimeError at media.py:1 read_media"}).encode() + b"\n"
    monkeypatch.setattr(reader, "_send", lambda *_: (bytearray(answer), 0))
    assert "its reader failed on it" in refusal(reader, PICTURE)
    assert caplog.records[-1].failed == "RuntimeError at media.py:1 read_media"
    assert "scene-1" not in str(caplog.records[-1].__dict__)


@LINUX
def test_a_fork_that_reads_unconfined_is_reported_once(reader, caplog, monkeypatch):
    reader.read(PICTURE, 1)
    monkeypatch.setitem(reader.confined, "files", True)
    for _ in range(2):
        reader._check(UNCONFINED)
    assert [record.getMessage() for record in caplog.records] == [
        "this system leaves files to the process that reads uploads"
    ]


@pytest.mark.parametrize("held", [True, False])
def test_a_fork_returns_whether_it_was_confined(held, monkeypatch):
    monkeypatch.setattr(child, "allow_one_file", lambda path: held)
    monkeypatch.setattr(child, "limit_resources", lambda *_: None)
    order = Order(PICTURE, 1, LIMITS, memory=10**9, cpu_seconds=60, seconds=60)
    assert child._read(order, io.BytesIO()) == held


@LINUX
def test_the_reading_process_has_no_secret_of_the_page(monkeypatch):
    monkeypatch.setenv("TOKENSCOPE_USERS", "ann:secret")
    fresh = Reader(Settings())
    fresh.read(PICTURE, 1)
    assert b"secret" not in Path(f"/proc/{fresh._child.pid}/environ").read_bytes()


@LANDLOCK
def test_the_fork_that_opens_the_upload_is_confined(reader, clip):
    reader.read(PICTURE, 1)
    child, seen = reader._child.pid, ""
    running = threading.Thread(target=lambda: reader.read(clip, 8))
    running.start()
    while "NoNewPrivs:\t1" not in seen:
        assert running.is_alive()
        for fork in children(child):
            seen = Path(f"/proc/{fork}/status").read_text()
    limits = Path(f"/proc/{fork}/limits").read_text()
    running.join(60)
    assert re.search(r"Max file size +0 ", limits) and re.search(r"Max cpu time +240 ", limits)
    network = {os.readlink(f"/proc/{process}/ns/net") for process in ("self", child)}
    assert len(network) == 1 + reader.confined["network"]


def test_a_recording_has_no_exif_of_the_upload(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Spy camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})  # GPS
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif, comment=b"Spy remark")
    assert b"Spy camera" in (tmp_path / "a.jpg").read_bytes()
    job = read_job(Request(upload=tmp_path / "a.jpg", question="Where?"))
    *_, done = FakeWorker().run(job)
    with zipfile.ZipFile(zip_recording(done.comparison, tmp_path)) as saved:
        for name in saved.namelist():
            content = saved.read(name)
            assert b"Spy" not in content and b"Exif" not in content and b"eXIf" not in content
        with saved.open("tokenscope-comparison/frame_000.png") as frame:
            assert not Image.open(frame).getexif()
