"""A private folder for uploads and results."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def default_folder() -> Path:
    """One for each user of this machine, among the temporary files."""
    return Path(tempfile.gettempdir()).resolve() / f"tokenscope-{os.getuid()}"


def make_private(folder: Path) -> None:
    """Create the folder for this user alone; an existing one that the user set is left as it is.

    Raises:
        ValueError: `default_folder` exists and is another user's, or is not a folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = folder == default_folder() and folder.lstat().st_uid != os.getuid()
    except FileExistsError:
        foreign = True
    if foreign:  # its owner could read and replace uploads
        raise ValueError(
            f"{folder} is no folder of this user. Remove it, or set GRADIO_TEMP_DIR to another."
        )
