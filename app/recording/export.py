"""Exports a comparison as a zip file of its recording and pictures."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from app.recording import drawings, storage
from models.engine.record import Comparison

NAME = "tokenscope-comparison"


def zip_recording(comparison: Comparison, folder: str | Path) -> str:
    """Write `tokenscope-comparison.zip` into `folder` and return its path."""
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        content = Path(parts, NAME)
        storage.save(comparison, content)
        drawings.draw(comparison, content)
        return shutil.make_archive(str(Path(folder, NAME)), "zip", parts, NAME)
