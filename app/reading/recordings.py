"""Opens the files of a recording within limits: record.json, arrays.npz and the frames.

Checks sizes and names, and decodes; `app.recording.storage` validates the fields. Nothing is
unpickled, and nothing of a zip file is written to the disk.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from models.uploads.media import LIMITS, Limits, short_name
from pruning.errors import ExplainedError

FORMAT, VERSION = "tokenscope-recording", 2
RECORD = "record.json"
MOST_RECORD = 2 * 2**20  # bytes of record.json
MOST_BYTES = 512 * 2**20  # of arrays, and of frames, unpacked
MOST_FRAMES = 512
MOST_FILES = 2048  # in a zip file: frames, and pictures for every lane

Folder = Path | zipfile.Path


class RecordingError(ExplainedError):
    """What came is not a readable recording; the message is one sentence."""


@dataclass(frozen=True, eq=False)
class Files:
    """The decoded files of a recording."""

    name: str  # of the folder or zip file, for messages
    record: dict[str, Any]
    arrays: dict[str, np.ndarray]  # of numbers
    frames: np.ndarray  # (T, H, W, 3) uint8; (T, 0, 0, 3) where they are not decoded


def open_folder(folder: Path, decode: bool = True) -> Files:
    """The files of a saved recording. Raises `RecordingError` only.

    Args:
        decode: Whether frames are read: a list of many recordings needs none.
    """
    with explained(folder.name):
        return _open(folder, folder.name, LIMITS, decode)


def open_zip(path: Path, limits: Limits = LIMITS) -> Files:
    """The files of a downloaded recording. Raises `RecordingError` only."""
    name = short_name(path)
    with explained(name):
        if (size := path.stat().st_size) > limits.bytes:
            most = f"{limits.bytes / 1e6:g} MB"
            raise RecordingError(f"{name} has {size / 1e6:,.1f} MB; the limit is {most}.")
        if not zipfile.is_zipfile(path):
            raise RecordingError(
                f"{name} is no zip file; choose the file that “Download recording” has saved."
            )
        with zipfile.ZipFile(path) as packed:
            return _open(_root(packed, name), name, limits)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn any error inside into a `RecordingError`: damaged files may raise anything."""
    try:
        yield
    except (RecordingError, MemoryError):
        raise
    except KeyError as missing:
        raise RecordingError(f"{name} is damaged: {missing} is missing.") from None
    except OSError:  # its message names a path of this machine
        raise RecordingError(f"{name} is damaged: a file of it cannot be read.") from None
    except Exception as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise RecordingError(f"{name} is damaged: {reason[:160]}.") from None


def check(holds: Any, complaint: str) -> None:
    if not holds:
        raise ValueError(complaint)


def frame_name(index: int) -> str:
    return f"frame_{index:03d}.png"


def _root(packed: zipfile.ZipFile, name: str) -> zipfile.Path:
    """The folder of the recording inside its zip file."""
    entries = packed.namelist()
    check(len(entries) <= MOST_FILES, f"it has {len(entries):,} files, at most {MOST_FILES:,} fit")
    for entry in entries:
        parts = PurePosixPath(entry.replace("\\", "/")).parts
        check(parts and ".." not in parts, "it names files outside itself")
        check(parts[0] != "/" and not parts[0].endswith(":"), "it names files outside itself")
    records = [entry for entry in entries if PurePosixPath(entry).name == RECORD]
    if len(records) != 1:
        raise RecordingError(f"{name} has {len(records)} files {RECORD}; a recording has one.")
    return zipfile.Path(packed, records[0].removesuffix(RECORD))


def _open(folder: Folder, name: str, limits: Limits, decode: bool = True) -> Files:
    record = _record(folder, name)
    arrays, count = _arrays(folder / "arrays.npz"), record["frames"]
    check(isinstance(count, int) and 0 < count <= MOST_FRAMES, f"{count} frames")
    frames = _frames(folder, count, limits) if decode else np.empty((count, 0, 0, 3), np.uint8)
    return Files(name, record, arrays, frames)


def _record(folder: Folder, name: str) -> dict[str, Any]:
    try:
        content = _content(folder / RECORD, MOST_RECORD).decode()
        record = json.loads(content)
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise RecordingError(f"{name} has no readable record.json: not a recording.") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RecordingError(f"{name} is not a TokenScope recording.")
    if (version := record.get("version")) != VERSION:
        newer = isinstance(version, int) and version > VERSION
        advice = "Open it with a newer TokenScope." if newer else "Run the comparison again."
        version = str(version)[:20]
        raise RecordingError(
            f"{name} has version {version}; this program reads version {VERSION}. {advice}"
        )
    return record


def _arrays(path: Folder) -> dict[str, np.ndarray]:
    content = io.BytesIO(_content(path, MOST_BYTES))
    with zipfile.ZipFile(content) as packed:
        size = sum(item.file_size for item in packed.infolist())
        check(size <= MOST_BYTES, f"its arrays would take {size / 2**20:,.0f} MiB")
    with np.load(content, allow_pickle=False) as arrays:
        loaded = {name: arrays[name] for name in arrays.files}
    for name, array in loaded.items():
        check(array.dtype.kind in "biuf", f"{name} holds no numbers")
    return loaded


def _frames(folder: Folder, count: int, limits: Limits) -> np.ndarray:
    frames = []
    for index in range(count):
        content = io.BytesIO(_content(folder / frame_name(index), MOST_BYTES))
        with Image.open(content, formats=("PNG",)) as picture:
            pixels = picture.width * picture.height
            check(pixels <= limits.pixels, "a frame is too large")
            check(3 * pixels * count <= MOST_BYTES, "its frames are too large together")
            frames.append(np.array(picture.convert("RGB")))
        check(frames[-1].shape == frames[0].shape, "frames differ in size")
    return np.stack(frames)


def _content(path: Folder, most: int) -> bytes:
    """The bytes of a file. An entry of a zip file may unpack to more than it declares."""
    with path.open("rb") as file:
        content: bytes = file.read(most + 1)
    check(len(content) <= most, f"{path.name} has more than {most / 2**20:,.0f} MiB")
    return content
