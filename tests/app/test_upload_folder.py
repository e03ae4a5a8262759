"""Each page has an upload folder of its own, which only its user can open."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.guard.upload_folder import default_parent, make_private, name_folder, open_folder
from tests.app.browser import PATIENCE, served
from tests.app.fake_worker import FakeWorker

pytestmark = pytest.mark.security

HOLDER = """
import sys
from app.guard.upload_folder import name_folder, open_folder

open_folder(folder := name_folder(sys.argv[1]))
print(folder, flush=True)
sys.stdin.readline()
"""
PAGE = """
from app.page.build import build, stay
from app.settings import Settings
from tests.app.fake_worker import FakeWorker

demo = build(FakeWorker(), Settings())
block = demo.block_thread
demo.block_thread = lambda: print(demo.local_url, flush=True) or block()
stay(demo, Settings(), quiet=True, server_port=None)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """A folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def started(code: str, *arguments: str):
    """A process that runs until it is sent a line, and the first line that it printed."""
    command, pipe = [sys.executable, "-c", code, *arguments], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def upload(url: str, name: str) -> str:
    """The path of an uploaded file on the page at `url`."""
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": (name, b"x")}, timeout=PATIENCE)
    return answer.raise_for_status().json()[0]


@pytest.mark.slow
def test_a_page_that_ends_leaves_the_uploads_of_another_page():
    with served(FakeWorker()) as url:
        path = upload(url, "same.png")
        with started(PAGE) as (process, other):
            path_there = upload(other, "same.png")
            process.terminate()
            process.wait(PATIENCE)
        assert not Path(path_there).parents[1].exists(), "the folder of a page ends with it"
        assert httpx.get(f"{url}gradio_api/file={path}").content == b"x"


def test_the_folder_of_a_killed_page_is_deleted_when_the_next_page_starts(temporary):
    parent = str(temporary)
    with started(HOLDER, parent) as (killed, left), started(HOLDER, parent) as (_, used):
        (Path(left) / "upload.png").touch()
        (temporary / "beside.png").touch()
        killed.kill()
        killed.wait()
        assert Path(left, "upload.png").exists()
        with started(HOLDER, parent) as (_, new):
            assert {*temporary.iterdir()} == {Path(used), Path(new), temporary / "beside.png"}


def test_a_process_that_a_page_starts_gets_a_folder_beside_that_of_the_page(temporary):
    page = name_folder(str(temporary))
    child = name_folder(str(page))
    assert page.parent == child.parent == temporary and page != child
    assert name_folder().parent == default_parent()


def test_each_user_has_a_folder_that_no_other_can_read(temporary, monkeypatch):
    folder = name_folder()
    for _ in range(2):
        open_folder(folder)
    assert folder.stat().st_mode & folder.parent.stat().st_mode & 0o777 == 0o700
    assert default_parent() == temporary / f"tokenscope-{os.getuid()}"
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    assert default_parent() == temporary / "tokenscope-4321"


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_a_folder_of_another_user_is_refused(temporary, monkeypatch, kind):
    theirs = temporary / "tokenscope-4321"
    {
        "folder": theirs.mkdir,
        "link": lambda: theirs.symlink_to(temporary),
        "file": theirs.touch,
    }[kind]()
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    with pytest.raises(ValueError, match="no folder of this user"):
        make_private(default_parent())


def test_a_folder_from_the_settings_is_created_private_and_otherwise_left_as_it_is(temporary):
    make_private(temporary / "new" / "uploads")
    assert (temporary / "new" / "uploads").stat().st_mode & 0o777 == 0o700
    (temporary / "shared").mkdir(mode=0o750)
    make_private(temporary / "shared")
    assert (temporary / "shared").stat().st_mode & 0o777 == 0o750
