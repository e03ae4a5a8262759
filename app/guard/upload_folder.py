"""A private folder for the uploads and results of one page."""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

NAME = "page-"  # begins the name of each page's folder
_locks: dict[Path, int] = {}  # descriptors that lock the folders of this process


def default_parent() -> Path:
    """One for each user of this machine, among the temporary files."""
    return Path(tempfile.gettempdir()).resolve() / f"tokenscope-{os.getuid()}"


def name_folder(setting: str | None = None) -> Path:
    """A new name for the folder of this process.

    Two pages share no folder, because Gradio deletes the files of a page that ends.

    Args:
        setting: The folder to place it in; by default that of the user. A process that a page
            starts inherits the page's own folder, and gets one beside it.
    """
    parent = Path(setting) if setting else default_parent()
    parent = parent.parent if parent.name.startswith(NAME) else parent
    return parent / f"{NAME}{os.getpid()}-{secrets.token_hex(4)}"


def open_folder(folder: Path) -> None:
    """Create the folder, which is deleted when this process ends.

    Also deletes folders of killed pages beside it. A lock marks the folders in use; the system
    releases the lock when a process ends for any reason.

    Raises:
        ValueError: `default_parent` exists and is another user's, or is not a folder.
    """
    make_private(folder.parent)
    parent = os.open(folder.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: no folder counts as left
            fcntl.flock(parent, fcntl.LOCK_EX)  # no other page sees a folder before its lock
            for other in folder.parent.glob(f"{NAME}*"):
                _delete_left(other)
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder not in _locks:
            _locks[folder] = os.open(folder, os.O_RDONLY)
            atexit.register(_delete_own, folder, os.getpid())
            with suppress(OSError):
                fcntl.flock(_locks[folder], fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(parent)


def make_private(folder: Path) -> None:
    """Create the folder with access for this user only; keeps an existing folder that the user set.

    Raises:
        ValueError: `default_parent` exists and is another user's, or is not a folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = folder == default_parent() and folder.lstat().st_uid != os.getuid()
    except FileExistsError:
        foreign = True
    if foreign:  # its owner could read and replace uploads
        raise ValueError(
            f"{folder} is no folder of this user. Remove it, or set GRADIO_TEMP_DIR to another."
        )


def _delete_left(folder: Path) -> None:
    """Delete the folder unless a process holds its lock."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _delete_own(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in a fork
        shutil.rmtree(folder, ignore_errors=True)
