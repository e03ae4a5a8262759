"""Saves a comparison as one folder: record.json, arrays.npz and its frames as PNG.

The only format for examples, saved cases, export and import. A recording may come from a stranger:
`app.reading.recordings` opens its files within limits, and `comparison_of` validates every field.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.reading.recordings import (
    FORMAT,
    VERSION,
    Files,
    RecordingError,
    check,
    explained,
    frame_name,
    open_folder,
)
from app.recording.lane_format import load_lane, pack, pack_lane, unpack
from models.engine.record import Comparison, Truth
from models.uploads.media import Media


def save(comparison: Comparison, folder: str | Path) -> Path:
    """Write a recording; replaces an older recording, but no other folder."""
    folder = Path(folder).absolute()
    foreign = folder.exists() and not (folder / "record.json").is_file()
    if foreign and (not folder.is_dir() or any(folder.iterdir())):
        raise RecordingError(f"{folder.name} exists and is not a recording; choose another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        record, arrays = record_of(comparison)
        for index, frame in enumerate(comparison.media.frames):
            Image.fromarray(frame).save(fresh / frame_name(index))
        np.savez_compressed(fresh / "arrays.npz", **arrays)  # type: ignore[arg-type]
        text = json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False)
        (fresh / "record.json").write_text(text + "\n", encoding="utf-8")
        fresh.chmod(0o755)
        _replace(folder, fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def record_of(comparison: Comparison) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The contents of record.json, and the arrays by name."""
    arrays: dict[str, np.ndarray] = {}
    lanes = [pack_lane(lane, f"lane{i}", arrays) for i, lane in enumerate(comparison.lanes)]
    record = {
        "format": FORMAT,
        "version": VERSION,
        "model": comparison.model,
        "question": comparison.question,
        "frames": len(comparison.media.frames),
        "media": _pack_media(comparison.media),
        "conditions": dict(comparison.conditions),
        "options": pack(comparison.options),
        "truth": _pack_truth(comparison.truth),
        "lanes": lanes,
    }
    return record, arrays


def load(folder: str | Path, decode: bool = True) -> Comparison:
    """Read a comparison, equal to the saved one in every value.

    Args:
        decode: Whether its frames are read; without, they are (T, 0, 0, 3).

    Raises:
        RecordingError: It is not a recording, of another version or damaged.
    """
    return comparison_of(open_folder(Path(folder), decode))


def comparison_of(files: Files) -> Comparison:
    """The comparison of a recording's files, with every field validated. Raises as `load` does."""
    record, arrays, frames = files.record, files.arrays, files.frames
    with explained(files.name):
        return Comparison(
            model=str(record["model"]),
            question=str(record["question"]),
            media=_load_media(frames, record["media"]),
            lanes=tuple(
                load_lane(lane, f"lane{i}", arrays, len(frames))
                for i, lane in enumerate(record["lanes"])
            ),
            conditions={str(key): str(value) for key, value in record["conditions"].items()},
            truth=_load_truth(record["truth"]),
            options=unpack(record["options"]),
        )


def _replace(folder: Path, fresh: Path) -> None:
    """Replace `folder` by `fresh`; an error leaves the old recording complete."""
    old = None
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        os.replace(folder, old / "was")
    try:
        os.replace(fresh, folder)
    except OSError:
        if old is not None:
            os.replace(old / "was", folder)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _pack_media(media: Media) -> dict[str, Any]:
    return {
        "kind": media.kind,
        "times": [float(time) for time in media.times],
        "decoder": media.decoder,
        "read_seconds": float(media.read_seconds),
        "note": media.note,
    }


def _load_media(frames: np.ndarray, media: Any) -> Media:
    times, seconds = np.array(media["times"], dtype=np.float64), float(media["read_seconds"])
    check(media["kind"] in ("image", "video"), "it is of no known kind")
    check(media["kind"] == "video" or len(frames) == 1, "a picture has more than one frame")
    check(times.shape == frames.shape[:1] and np.isfinite(times).all(), "its times are invalid")
    check(np.isfinite(seconds), "its time of reading is invalid")
    return Media(frames, times, media["kind"], str(media["decoder"]), seconds, str(media["note"]))


def _pack_truth(truth: Truth | None) -> Any:
    if truth is None:
        return None
    box = None if truth.box is None else [float(edge) for edge in truth.box]
    return {"answer": truth.answer, "box": box}


def _load_truth(truth: Any) -> Truth | None:
    if truth is None:
        return None
    box = truth["box"]
    if box is None:
        return Truth(str(truth["answer"]))
    left, top, right, bottom = map(float, box)
    return Truth(str(truth["answer"]), (left, top, right, bottom))
