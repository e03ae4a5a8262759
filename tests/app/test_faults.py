"""The page survives faults and reports each with a sentence.

`make faults` prints them: the fault in brackets, then each line that the visitor reads. The loss of
a replica is in test_ray.py, damaged uploads are in the tests of reading.
"""

from __future__ import annotations

import errno
import html
import os
import re
import shutil
import signal
import threading

import gradio as gr
import pytest
import torch

from app.example_uploads import examples
from app.page.handlers import recording_file
from app.reading.pool import pool
from app.recording import storage
from app.settings import EXAMPLES, Settings
from app.worker.job_queue import QueuedWorker
from app.worker.local import LocalWorker
from models import catalog, weights
from models.engine.record import PHASES
from tests.app.asking import TAB, ask, handlers
from tests.app.fake_worker import wait_until
from tests.app.test_lane_scheduler import spoil
from tests.app.waiting import reached

pytestmark = [pytest.mark.fault, pytest.mark.checkpoint]
EXAMPLE = examples()[0]


@pytest.fixture(scope="module")
def page():
    return handlers(QueuedWorker(LocalWorker(Settings(device="cpu")), Settings()))


def compare(page):
    """Compare an example in two lanes; the last update of the page."""
    question = EXAMPLE["questions"][0]["question"]
    path, last = str(EXAMPLES / EXAMPLE["file"]), ""
    print("[Compare is pressed]")
    for update in ask(page, path, question, methods=["random"], ratio=1 / 3):
        line = update.get(page.form.status, last)
        if line != last:
            last = print_text(line)
    return update


def print_text(part: str) -> str:
    """Print a part of the page without its markup."""
    print(" ".join(html.unescape(re.sub("<[^>]*>", " ", part)).split()))
    return part


def status(page, update):
    return update[page.form.status]


@pytest.mark.parametrize("phase", PHASES)
def test_stop_in_any_phase_leaves_a_page_that_compares_again(page, monkeypatch, phase):
    reached, last = threading.Event(), []

    def wait(step):
        print(f"[Stop is pressed in {phase}]")
        reached.set()
        wait_until(lambda: not page.screens)  # Stop was pressed

    with monkeypatch.context() as patched:
        spoil(patched, phase, wait)
        running = threading.Thread(target=lambda: last.append(compare(page)))
        running.start()
        assert reached.wait(60)
        seen = status(page, page.stop(TAB))
        running.join(60)
    assert not running.is_alive() and "Stopped." in seen
    assert "2 of 2 lanes answered" in status(page, compare(page))


@pytest.mark.parametrize("phase", PHASES)
def test_out_of_memory_in_one_lane_leaves_the_other(page, monkeypatch, phase):
    def fall_over(step):
        print(f"[the device runs out of memory in {phase}]")
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        spoil(patched, phase, fall_over)
        last = compare(page)
    assert "1 of 2 lanes answered, 1 failed" in status(page, last)
    assert "ran out of memory" in print_text(last[page.board.parts["text1"]])
    assert "2 of 2 lanes answered" in status(page, compare(page))


def test_a_file_that_cannot_be_written_is_reported_and_the_comparison_kept(page, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/a/path/of/the/server")

    comparison = compare(page)[page.board.comparison]
    with monkeypatch.context() as patched:
        patched.setattr(storage, "save", fill)
        print("[Download recording is pressed, and no file can be written]")
        with pytest.raises(gr.Error) as told:
            list(recording_file(page.board, comparison))
    print_text(told.value.message)
    assert "could not be written" in told.value.message and "/a/path" not in told.value.message
    assert list(recording_file(page.board, comparison))[-1][page.board.file]


def test_a_corrupt_checkpoint_is_reported_and_the_next_model_loads(page, monkeypatch, tmp_path):
    card = catalog.find("embedded-image")
    folder = shutil.copytree(weights.ROOT / card.source, tmp_path / card.source)
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)
    broken = handlers(QueuedWorker(LocalWorker(Settings(device="cpu")), Settings()))
    with monkeypatch.context() as patched:
        patched.setattr(weights, "ROOT", tmp_path)
        print("[the checkpoint is corrupt]")
        seen = status(broken, compare(broken))
        print("[it is whole again]")
    assert "model.safetensors" in seen and "is damaged" in seen
    assert "2 of 2 lanes answered" in status(broken, compare(broken))


def test_a_killed_reader_is_reported_and_the_next_comparison_reads_again(page, monkeypatch):
    last = compare(page)
    uploads, readers = set(page.form.uploads.values()), pool(Settings())
    reader = readers.free[-1]
    os.kill(reader._child.pid, signal.SIGSTOP)  # so that it is killed while it reads
    told, sent = [], reached(monkeypatch, reader, "_take")
    running = threading.Thread(target=lambda: told.append(compare(page)))
    running.start()
    assert sent.wait(60)
    print("[the process that reads is killed]")
    os.kill(reader._child.pid, signal.SIGKILL)
    running.join(60)
    seen = status(page, told[0])
    assert "was stopped while it read" in seen and "the upload is still there" in seen
    assert not set(told[0]) & uploads, "the upload is not touched"
    assert "2 of 2 lanes answered" in status(page, compare(page))
    assert last[page.board.comparison]
