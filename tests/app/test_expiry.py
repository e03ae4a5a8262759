"""Every file in the upload folder is deleted after an hour."""

from __future__ import annotations

import os
import time
from pathlib import Path

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
    """An upload folder, and beside it a file that is no upload."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "beside.png").write_bytes(b"x")
    return tmp_path / "uploads"


def content_of(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*")]


@pytest.mark.parametrize("name", ["file.png", "tmpab12cd", "of-a-page-before/scene.png"])
def test_a_file_that_gradio_does_not_list_is_deleted_after_an_hour_and_not_before(folder, name):
    path = folder / name
    if name == "file.png":
        path = Path(save_base64_to_cache(PIXEL, str(folder)))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    delete_expired(folder, now=time.time() + 3500)
    assert path.is_file()
    delete_expired(folder, now=time.time() + 3700)
    assert not content_of(folder) and folder.is_dir()
    assert (folder.parent / "beside.png").is_file()


def test_the_age_of_a_copy_is_that_of_the_copying(folder):
    (folder / "example.png").write_bytes(b"x")
    os.utime(folder / "example.png", (0, 0))
    delete_expired(folder)
    assert content_of(folder)


def test_expiry_follows_no_link_out_of_the_folder(folder):
    (folder / "file").symlink_to(folder.parent / "beside.png")
    (folder / "folder").symlink_to(folder.parent)
    delete_expired(folder, now=time.time() + 3700)
    assert not content_of(folder) and (folder.parent / "beside.png").is_file()


def test_examples_are_kept_and_touched(folder):
    example = folder / "example.png"
    example.write_bytes(b"x")
    os.utime(example, (0, 0))
    delete_expired(folder, [str(example)], now=time.time() + 3700)
    assert example.is_file() and example.stat().st_mtime > time.time() - 60


def test_a_page_has_a_private_folder_and_deletes_expired_files_except_its_examples(
    tmp_path, monkeypatch
):
    assert Path(os.environ["GRADIO_TEMP_DIR"]).name != "gradio"
    folder = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    monkeypatch.setattr(expiry, "HOUR", 0)
    demo = build(FakeWorker(), Settings())
    assert folder.stat().st_mode & 0o777 == 0o700
    examples = {path for path in content_of(folder) if Path(path).is_file()}
    assert examples
    (folder / "tmpold").write_bytes(b"x")
    start_expiry(demo)
    wait_until(lambda: not (folder / "tmpold").exists())
    assert {path for path in content_of(folder) if Path(path).is_file()} == examples
