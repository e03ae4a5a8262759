"""The served page on a file system that is really full."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.page.download import NOT_WRITTEN
from app.recording import storage
from app.settings import ROOT
from tests.app.browser import choose_example, compare, served, tab
from tests.app.fake_worker import FakeWorker

MOUNTED = 'mount -t tmpfs -o size=8m none "$0" && exec "$@"'
CLIP, ZIP = "overlay-tree.mp4", "tokenscope-comparison.zip"


def mounted(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command for which the folder is a file system of 8 MB in memory."""
    if shutil.which("unshare") is None:
        pytest.skip("this system has no unshare, to mount a small file system with")
    return subprocess.run(
        ["unshare", "-Urm", "sh", "-c", MOUNTED, *map(str, (folder, *command))],
        cwd=ROOT,
        env=os.environ | {"GRADIO_TEMP_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.fault
def test_a_full_disk_is_reported_enables_the_button_and_leaves_no_partial_file(tmp_path):
    if mounted(tmp_path, "true").returncode:
        pytest.skip("this system does not let a user mount a small file system")
    ran = mounted(tmp_path, sys.executable, "-m", "tests.app.full_disk", tmp_path)
    assert ran.returncode == 0, ran.stderr
    asked = [json.loads(line) for line in ran.stdout.splitlines()]
    assert all(one["button"]["interactive"] for one in asked)
    assert {one["button"]["value"] for one in asked} == {
        "Download overlay clip",
        "Download recording",
    }
    *full, clip, recording = asked
    for one in full:
        print(f"[{one['button']['value']} is pressed with {one['room']} kB left on the disk]")
        print(one["told"])
        assert one["told"] == NOT_WRITTEN and not one["files"]
    assert clip["told"] is None and clip["files"] == [CLIP], "there is room again"
    assert recording["files"] == [CLIP, ZIP], "once each: Gradio has copied nothing"
    log = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["message"] for line in log] == ["file not written"] * len(full)
    assert NOT_WRITTEN not in ran.stderr


def test_the_page_reports_a_file_that_cannot_be_written_and_offers_no_older_one(
    chromium, monkeypatch
):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with served(FakeWorker()) as url, tab(chromium) as page:
        page.goto(url)
        choose_example(page)
        compare(page)
        with page.expect_download() as saved:
            page.locator("#save").click()
        assert saved.value.suggested_filename == ZIP
        came = []
        page.on("download", lambda file: came.append(file))
        monkeypatch.setattr(storage, "save", fill)
        page.locator("#save").click()
        page.get_by_text(NOT_WRITTEN).wait_for()
        page.wait_for_timeout(1000)  # a file that is there is pressed for after 200 ms
        assert not came and page.locator("#save").is_enabled()
        assert page.locator("#save").inner_text() == "Download recording"
