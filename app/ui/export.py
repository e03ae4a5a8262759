"""A comparison as one file to keep: the recording and its pictures, zipped."""

from __future__ import annotations

import shutil
from pathlib import Path

from app import drawings, recordings
from models.record import Comparison


def zip_recording(comparison: Comparison, folder: str | Path) -> str:
    """Write `tokenscope-comparison.zip` into `folder` and return its path."""
    content = Path(folder) / "tokenscope-comparison"
    recordings.save(comparison, content)
    drawings.draw(comparison, content)
    return shutil.make_archive(str(content), "zip", folder, content.name)
