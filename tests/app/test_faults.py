"""What breaks, broken on purpose: each is survived, and told in words. `make faults` prints them.

The loss of a replica is in test_ray.py, broken uploads are where uploads are read.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading

import gradio as gr
import pytest
import torch

from app import recordings
from app.reading.pool import pool
from app.request import examples
from app.settings import EXAMPLES, Settings
from app.worker import local
from app.worker.fair import FairWorker
from app.worker.local import LocalWorker
from models import catalog, weights
from models.pipeline import run_lane
from models.record import PHASES
from tests.app.asking import TAB, ask, handlers
from tests.app.fake_worker import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.checkpoint]
EXAMPLE = examples()[0]


@pytest.fixture(scope="module")
def page():
    return handlers(FairWorker(LocalWorker(Settings(device="cpu")), Settings()))


def compare(page):
    """A comparison of an example by two lanes, as a person asks for it; the last update."""
    return list(_asked(page))[-1]


def _asked(page):
    question = EXAMPLE["questions"][0]["question"]
    path = str(EXAMPLES / EXAMPLE["file"])
    return ask(page, path, question, methods=["random"], ratio=1 / 3)


def status(page, update):
    return update[page.form.status]


def spoil(monkeypatch, phase, do):
    """Call `do` where the lane of "random" is in a phase."""

    def run(adapter, media, question, method, **options):
        steps = run_lane(adapter, media, question, method, **options)
        names = (*PHASES[:-1], *["decode"] * 1000)
        for name, step in zip(names, steps, strict=False):
            if method.name == "random" and name == phase and options["max_new_tokens"] > 2:
                do()
            yield step

    monkeypatch.setattr(local, "run_lane", run)


@pytest.mark.parametrize("phase", PHASES)
def test_stop_in_any_phase_leaves_a_page_that_compares_again(page, monkeypatch, phase):
    reached, updates = threading.Event(), []

    def wait():
        reached.set()
        wait_until(lambda: not page.screens)  # until Stop has been pressed

    with monkeypatch.context() as patched:
        spoil(patched, phase, wait)
        running = threading.Thread(target=lambda: updates.extend(_asked(page)))
        running.start()
        assert reached.wait(60)
        print(f"stop in {phase}:", seen := status(page, page.stop(TAB)))
        running.join(10)
    assert not running.is_alive() and "Stopped." in seen
    assert "2 of 2 lanes answered" in status(page, compare(page))


@pytest.mark.parametrize("phase", PHASES)
def test_memory_that_runs_out_in_one_lane_leaves_the_other(page, monkeypatch, phase):
    def fall_over():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        spoil(patched, phase, fall_over)
        last = compare(page)
    print(f"out of memory in {phase}:", status(page, last))
    assert "1 of 2 lanes answered, 1 failed" in status(page, last)
    assert "ran out of memory" in last[page.board.parts["text1"]]
    assert "2 of 2 lanes answered" in status(page, compare(page))


def test_a_file_that_cannot_be_written_is_told_and_the_comparison_is_still_there(page, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/a/path/of/the/server")

    comparison = compare(page)[page.board.comparison]
    with monkeypatch.context() as patched:
        patched.setattr(recordings, "save", fill)
        with pytest.raises(gr.Error) as told:
            list(page.keep(comparison))
    print("disk full:", told.value.message)
    assert "could not be written" in told.value.message and "/a/path" not in told.value.message
    assert list(page.keep(comparison))[-1][page.board.file]


def test_a_checkpoint_that_is_corrupt_is_told_and_the_next_model_loads(page, monkeypatch, tmp_path):
    card = catalog.find("embedded-image")
    folder = shutil.copytree(weights.ROOT / card.source, tmp_path / card.source)
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)
    broken = handlers(FairWorker(LocalWorker(Settings(device="cpu")), Settings()))
    with monkeypatch.context() as patched:
        patched.setattr(weights, "ROOT", tmp_path)
        print("corrupt checkpoint:", seen := status(broken, compare(broken)))
    assert "model.safetensors" in seen and "is damaged" in seen
    assert "2 of 2 lanes answered" in status(broken, compare(broken))


def test_a_reader_that_is_killed_is_told_and_the_next_comparison_reads_again(page):
    last = compare(page)
    uploads, readers = set(page.form.uploads.values()), pool(Settings())
    reader = readers.free[-1]
    os.kill(reader._child.pid, signal.SIGSTOP)  # so that it is killed while it reads
    updates = []
    running = threading.Thread(target=lambda: updates.extend(_asked(page)))
    running.start()
    wait_until(lambda: reader not in readers.free)
    os.kill(reader._child.pid, signal.SIGKILL)
    running.join(20)
    print("reader killed:", seen := status(page, updates[-1]))
    assert "was stopped while it read" in seen and "the upload is still there" in seen
    assert not set(updates[-1]) & uploads, "the upload is not touched"
    assert "2 of 2 lanes answered" in status(page, compare(page))
    assert last[page.board.comparison]
