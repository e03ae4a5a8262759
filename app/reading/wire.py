"""Messages between the page's process and the reading one: a line of JSON, then the arrays."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.logs import places
from app.reading.recordings import Files
from models.uploads.media import Limits, Media, MediaError

MAX_HEADER = 4_000_000  # bytes: the times of 18,000 frames and more
UNCONFINED = 3  # exit status of a fork that could read other files
FAILURE = re.compile(r"[\w.:<>, ]{1,2000}")  # types and places only


@dataclass(frozen=True)
class Order:
    """One file to read, with its limits."""

    path: Path
    num_frames: int | None  # of a clip; None: the file is a recording
    limits: Limits
    memory: int  # bytes in addition to what the process has
    cpu_seconds: int
    seconds: int

    def pack(self) -> bytes:
        return json.dumps(asdict(self) | {"path": str(self.path)}).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Order:
        fields = json.loads(message)
        fields |= {"path": Path(fields["path"]), "limits": Limits(**fields["limits"])}
        return cls(**fields)


def pack_media(media: Media) -> tuple[bytes, memoryview]:
    """The line of JSON and the pixels."""
    header = {
        "shape": media.frames.shape,
        "times": media.times.tolist(),
        "kind": media.kind,
        "decoder": media.decoder,
        "read_seconds": media.read_seconds,
        "note": media.note,
        "seconds": media.seconds,
    }
    frames = np.ascontiguousarray(media.frames)
    return json.dumps(header).encode() + b"\n", memoryview(frames).cast("B")


def pack_files(files: Files) -> Iterator[bytes | memoryview]:
    """The line of JSON with the record and the arrays' types, then the arrays and the frames."""
    arrays = {name: np.ascontiguousarray(one) for name, one in files.arrays.items()}
    frames = np.ascontiguousarray(files.frames)
    header = {
        "name": files.name,
        "record": files.record,
        "arrays": {name: [one.dtype.str, one.shape] for name, one in arrays.items()},
        "frames": frames.shape,
    }
    yield json.dumps(header, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    for one in (*arrays.values(), frames):
        yield one.tobytes()  # no memoryview: it cannot cast an empty array


def pack_refusal(sentence: str) -> bytes:
    return json.dumps({"refused": sentence}).encode() + b"\n"


def pack_failure(error: Exception) -> bytes:
    """An unforeseen error by type and places: its message may quote the file."""
    reason = f"{type(error).__name__} at {', '.join(places(error))}"
    return json.dumps({"failed": reason}).encode() + b"\n"


class FailedError(ValueError):
    """The reading failed; the message is for the log, not for the visitor."""


def unpack(answer: bytearray) -> Media:
    """The media, with every field validated: the file may control the process that read it.

    Raises:
        MediaError: The reader refused the file.
        ValueError, KeyError, TypeError: The answer is not valid.
    """
    header, end = _header(answer)
    frames = np.frombuffer(answer, np.uint8, offset=end).reshape(header["shape"])
    frames.setflags(write=False)
    times = np.array(header["times"], dtype=np.float64)
    read_seconds, seconds = float(header["read_seconds"]), float(header["seconds"])
    if not np.isfinite([*times.flat, read_seconds, seconds]).all():
        raise ValueError("a time is not a number")
    sound = frames.ndim == 4 and frames.shape[3] == 3 and times.shape == frames.shape[:1]
    if not sound or not frames.size or header["kind"] not in ("image", "video"):
        raise ValueError(f"frames of shape {frames.shape} came at {times.shape} times")
    decoder, note = str(header["decoder"]), str(header["note"])
    return Media(frames, times, header["kind"], decoder, read_seconds, note, seconds)


def unpack_files(answer: bytearray) -> Files:
    """The files of a recording; `app.recording.storage` validates the fields. Raises as above."""
    header, end = _header(answer)
    kinds = {str(name): (np.dtype(kind), shape) for name, (kind, shape) in header["arrays"].items()}
    if not all(kind.kind in "biuf" for kind, _ in kinds.values()):
        raise ValueError("an array holds no numbers")
    *arrays, (frames, end) = _arrays(
        answer, end, [*kinds.values(), (np.dtype(np.uint8), header["frames"])]
    )
    if end != len(answer) or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise ValueError(f"frames of shape {frames.shape} came")
    if not isinstance(header["record"], dict):
        raise TypeError("the record is no mapping")
    by_name = dict(zip(kinds, (one for one, _ in arrays), strict=True))
    return Files(str(header["name"]), header["record"], by_name, frames)


def _arrays(
    answer: bytearray, end: int, kinds: list[tuple[np.dtype, list[int]]]
) -> Iterator[tuple[np.ndarray, int]]:
    """Each array, and where the next begins."""
    for kind, shape in kinds:
        if not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError(f"an array has the shape {shape}")
        count = math.prod(shape)
        flat = np.frombuffer(answer, kind, count, end) if count else np.zeros(0, kind)
        end += count * kind.itemsize
        yield flat.astype(kind.newbyteorder("=")).reshape(shape), end  # a copy, aligned


def _header(answer: bytearray) -> tuple[dict, int]:
    """The line of JSON, and where the arrays begin. Raises as `unpack`."""
    end = answer.find(b"\n", 0, MAX_HEADER)
    if end < 0:
        raise ValueError("the answer is incomplete")
    header = json.loads(answer[:end])
    if "refused" in header:
        raise MediaError(str(header["refused"]))
    if "failed" in header:
        whole = FAILURE.fullmatch(str(header["failed"]))
        raise FailedError(whole[0] if whole else "not a valid failure")
    return header, end + 1
