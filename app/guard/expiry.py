"""Uploads and results do not outlive their hour, whether or not Gradio remembers them.

Gradio deletes what it knows of by heart: no picture that came as data, no upload that broke off,
nothing of before a restart. So the folder itself is looked through.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from gradio import Blocks
from gradio.utils import get_upload_folder

from app.guard.sessions import HOUR

OFTEN = 300  # seconds between two looks for files that are an hour old


def start_expiry(page: Blocks) -> None:
    """Sweep the folder of uploads now and from now on, but not the examples of the page."""
    kept = [path for block in page.blocks.values() for path in getattr(block, "keep_in_cache", ())]
    folder = Path(get_upload_folder())
    threading.Thread(target=_sweeping, args=(folder, kept), name="sweep", daemon=True).start()


def _sweeping(folder: Path, kept: Collection[str]) -> None:
    while True:
        delete_expired(folder, kept)
        time.sleep(OFTEN)


def delete_expired(folder: Path, kept: Collection[str] = (), now: float | None = None) -> None:
    """Delete files under `folder` that are an hour old at `now`, and folders empty for as long.

    A file's age is that of its last change by this machine (ctime): a copy keeps the mtime of what
    it is a copy of. What is kept is made young, so that another page on this folder keeps it too.
    """
    for path in kept:
        with suppress(OSError):
            os.utime(path)
    old = (time.time() if now is None else now) - HOUR
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in (*files, *folders)):
            if str(path) in kept:
                continue
            with suppress(OSError):  # gone already, or a folder that holds something
                status = path.lstat()
                if status.st_ctime <= old:
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
