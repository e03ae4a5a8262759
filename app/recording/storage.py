"""Saves a comparison as one folder: record.json, arrays.npz and its frames as PNG.

The only format for examples, saved cases, export and import. A folder may come from a stranger, so
`load` validates every field: no pickles, limited sizes, indices in range.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.recording.lane_format import check, load_lane, pack, pack_lane, unpack
from models.engine.record import Comparison, Truth
from models.uploads.media import Media
from pruning.errors import ExplainedError

FORMAT, VERSION = "tokenscope-recording", 2
MOST_BYTES = 512 * 2**20  # of arrays, and of frames, unpacked
MOST_PIXELS = 50_000_000  # of one frame
MOST_FRAMES = 512


class RecordingError(ExplainedError):
    """The folder is not a readable recording; the message is one sentence."""


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
            Image.fromarray(frame).save(fresh / _frame_name(index))
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


def load(folder: str | Path) -> Comparison:
    """Read a comparison, equal to the saved one in every value.

    Raises:
        RecordingError: It is not a recording, of another version or damaged.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RecordingError(
            f"{folder.name} has no readable record.json: not a recording."
        ) from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RecordingError(f"{folder.name} is not a TokenScope recording.")
    if (version := record.get("version")) != VERSION:
        raise RecordingError(
            f"{folder.name} has version {version}; this program reads version {VERSION}. "
            "Run the comparison again."
        )
    try:
        arrays = _load_arrays(folder / "arrays.npz")
        media = _load_media(folder, record["frames"], record["media"])
        return Comparison(
            model=str(record["model"]),
            question=str(record["question"]),
            media=media,
            lanes=tuple(
                load_lane(lane, f"lane{i}", arrays, len(media.frames))
                for i, lane in enumerate(record["lanes"])
            ),
            conditions={str(key): str(value) for key, value in record["conditions"].items()},
            truth=_load_truth(record["truth"]),
            options=unpack(record["options"]),
        )
    except RecordingError:
        raise
    except KeyError as missing:
        raise RecordingError(f"{folder.name} is damaged: {missing} is missing.") from None
    except OSError:  # its message names a path of this machine
        raise RecordingError(f"{folder.name} is damaged: a file of it cannot be read.") from None
    except Exception as problem:  # damaged files may raise anything
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise RecordingError(f"{folder.name} is damaged: {reason[:160]}.") from None


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


def _frame_name(index: int) -> str:
    return f"frame_{index:03d}.png"


def _pack_media(media: Media) -> dict[str, Any]:
    return {
        "kind": media.kind,
        "times": [float(time) for time in media.times],
        "decoder": media.decoder,
        "read_seconds": float(media.read_seconds),
        "note": media.note,
    }


def _load_media(folder: Path, count: Any, media: Any) -> Media:
    frames = _load_frames(folder, count)
    times = np.array(media["times"], dtype=np.float64)
    check(media["kind"] in ("image", "video"), "it is of no known kind")
    check(times.shape == (count,) and bool(np.isfinite(times).all()), "its times are odd")
    seconds = float(media["read_seconds"])
    return Media(frames, times, media["kind"], str(media["decoder"]), seconds, str(media["note"]))


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as packed:
        size = sum(item.file_size for item in packed.infolist())
        check(size <= MOST_BYTES, f"its arrays would take {size / 2**20:,.0f} MiB")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _load_frames(folder: Path, count: Any) -> np.ndarray:
    check(isinstance(count, int) and 0 < count <= MOST_FRAMES, f"{count} frames")
    frames = []
    for index in range(count):
        with Image.open(folder / _frame_name(index), formats=("PNG",)) as picture:
            pixels = picture.width * picture.height
            check(pixels <= MOST_PIXELS, "a frame is too large")
            check(3 * pixels * count <= MOST_BYTES, "its frames are too large together")
            frames.append(np.array(picture.convert("RGB")))
        check(frames[-1].shape == frames[0].shape, "frames differ in size")
    return np.stack(frames)


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
