"""Deletes uploads and results after an hour.

Gradio deletes only the files that it lists: no picture sent as data, no broken upload, no file from
before a restart. So the folder itself is scanned.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from gradio import Blocks

from app.guard.gradio_internals import example_copies, upload_folder
from app.guard.sessions import HOUR

SCAN_SECONDS = 300  # between two scans for files that are an hour old


def start_expiry(page: Blocks) -> None:
    """Delete expired files now and every five minutes, except the examples of the page."""
    arguments = upload_folder(), example_copies(page)
    threading.Thread(target=_delete_forever, args=arguments, name="expiry", daemon=True).start()


def _delete_forever(folder: Path, examples: Collection[str]) -> None:
    while True:
        delete_expired(folder, examples)
        time.sleep(SCAN_SECONDS)


def delete_expired(folder: Path, examples: Collection[str] = (), now: float | None = None) -> None:
    """Delete files that are an hour old at `now`, and folders empty for as long.

    The age is that of the last change on this machine (ctime): a copy keeps the mtime of its
    source. Examples are touched, so that another page with the same folder keeps them too.
    """
    for path in examples:
        with suppress(OSError):
            os.utime(path)
    oldest = (time.time() if now is None else now) - HOUR
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in (*files, *folders)):
            if str(path) in examples:
                continue
            with suppress(OSError):  # deleted already, or a folder that is not empty
                status = path.lstat()
                if status.st_ctime <= oldest:
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
