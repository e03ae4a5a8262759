"""The folder that uploads and results lie in: its user's alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def default_folder() -> Path:
    """One for each user of this machine, among the temporary files."""
    return Path(tempfile.gettempdir()).resolve() / f"tokenscope-{os.getuid()}"


def make_private(folder: Path) -> None:
    """Create it for this user alone, if it is not there; one with a name set by hand may be.

    Raises:
        ValueError: `default_folder` is there already and somebody else's, or no folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = folder == default_folder() and folder.lstat().st_uid != os.getuid()
    except FileExistsError:
        foreign = True
    if foreign:  # whose it is could read what is uploaded, and replace it
        raise ValueError(
            f"{folder} is no folder of this user. Remove it, or set GRADIO_TEMP_DIR to another."
        )
