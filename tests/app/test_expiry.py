"""What lies in the folder of uploads is gone after its hour, wherever it came from."""

from __future__ import annotations

import os
import time
from pathlib import Path

import gradio as gr
import pytest
from gradio.processing_utils import save_base64_to_cache

from app.guard import expiry
from app.guard.expiry import delete_expired, start_expiry
from app.page.build import build
from app.settings import Settings
from tests.app.fake_worker import FakeWorker, wait_until

pytestmark = pytest.mark.security

PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def folder(tmp_path):
    """A folder of uploads, and beside it what is nobody's upload."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "beside.png").write_bytes(b"x")
    return tmp_path / "uploads"


def left_in(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*")]


@pytest.mark.parametrize("name", ["file.png", "tmpab12cd", "of-a-page-before/scene.png"])
def test_what_gradio_does_not_know_is_deleted_after_an_hour_and_not_before(folder, name):
    path = folder / name
    if name == "file.png":
        path = Path(save_base64_to_cache(PIXEL, str(folder)))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    delete_expired(folder, now=time.time() + 3500)
    assert path.is_file()
    delete_expired(folder, now=time.time() + 3700)
    assert not left_in(folder) and folder.is_dir()
    assert (folder.parent / "beside.png").is_file()


def test_a_copy_is_as_old_as_its_copying_and_not_as_what_it_is_a_copy_of(folder):
    (folder / "example.png").write_bytes(b"x")
    os.utime(folder / "example.png", (0, 0))
    delete_expired(folder)
    assert left_in(folder)


def test_a_sweep_leaves_the_folder_by_no_link(folder):
    (folder / "file").symlink_to(folder.parent / "beside.png")
    (folder / "folder").symlink_to(folder.parent)
    delete_expired(folder, now=time.time() + 3700)
    assert not left_in(folder) and (folder.parent / "beside.png").is_file()


def test_examples_are_kept_and_made_young_for_whoever_else_sweeps(folder):
    example = folder / "example.png"
    example.write_bytes(b"x")
    os.utime(example, (0, 0))
    delete_expired(folder, [str(example)], now=time.time() + 3700)
    assert example.is_file() and example.stat().st_mtime > time.time() - 60


def test_a_page_sweeps_when_it_starts_and_keeps_its_own_examples(folder, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    monkeypatch.setattr(expiry, "HOUR", 0)
    demo = build(FakeWorker(), Settings())
    examples = {path for path in left_in(folder) if Path(path).is_file()}
    assert examples
    (folder / "tmpold").write_bytes(b"x")
    start_expiry(demo)
    wait_until(lambda: not (folder / "tmpold").exists())
    assert {path for path in left_in(folder) if Path(path).is_file()} == examples


def test_a_page_has_a_folder_of_its_own():
    assert isinstance(build(FakeWorker(), Settings()), gr.Blocks)
    assert Path(os.environ["GRADIO_TEMP_DIR"]).name != "gradio"
