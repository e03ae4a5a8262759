"""Opens the recording that a visitor has downloaded here or elsewhere."""

from __future__ import annotations

from pathlib import Path

from app.reading.pool import read_recording
from app.reading.recordings import RecordingError
from app.recording.storage import comparison_of
from app.settings import Settings
from models.engine.record import Comparison


def open_upload(path: str | Path, settings: Settings) -> Comparison:
    """The comparison of an uploaded zip file. Raises `ExplainedError`s only."""
    files = read_recording(path, settings)
    comparison = comparison_of(files)
    for count, most, noun in (
        (len(comparison.lanes), settings.max_lanes, "lanes"),
        (len(comparison.media.frames), settings.max_frames, "frames"),
    ):
        if count > most:
            raise RecordingError(f"{files.name} has {count} {noun}; this page shows {most}.")
    if not comparison.lanes:
        raise RecordingError(f"{files.name} has no lanes: there is nothing to show.")
    return comparison
