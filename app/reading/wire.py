"""What goes between the page's process and the one that reads: a line of JSON, then the frames."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.logs import places
from models.uploads.media import Limits, Media, MediaError

MAX_HEADER = 4_000_000  # bytes: the times of 18,000 frames and more
UNCONFINED = 3  # the exit status of a fork that has read with every file in reach
FAILURE = re.compile(r"[\w.:<>, ]{1,2000}")  # types and places, and no room for more


@dataclass(frozen=True)
class Order:
    """One file to read, and what that may take."""

    path: Path
    num_frames: int
    limits: Limits
    memory: int  # bytes beyond what the process has before it opens the file
    cpu_seconds: int
    seconds: int

    def pack(self) -> bytes:
        return json.dumps(asdict(self) | {"path": str(self.path)}).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Order:
        told = json.loads(message)
        told |= {"path": Path(told["path"]), "limits": Limits(**told["limits"])}
        return cls(**told)


def pack_media(media: Media) -> tuple[bytes, memoryview]:
    """The line and the pixels, in this order."""
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


def pack_refusal(sentence: str) -> bytes:
    return json.dumps({"refused": sentence}).encode() + b"\n"


def pack_failure(error: Exception) -> bytes:
    """What nobody foresaw, by type and places: its message may quote the file."""
    reason = f"{type(error).__name__} at {', '.join(places(error))}"
    return json.dumps({"failed": reason}).encode() + b"\n"


class FailedError(ValueError):
    """The reading failed: for the log of the page's process, not for whoever sent the file."""


def unpack(answer: bytearray) -> Media:
    """What was read; raises the refusal, or `ValueError`, `KeyError`, `TypeError` for no answer.

    Checked like anything from outside: whatever the file was, it may have taken its reader over.
    """
    end = answer.find(b"\n", 0, MAX_HEADER)
    if end < 0:
        raise ValueError("no whole answer came")
    told = json.loads(answer[:end])
    if "refused" in told:
        raise MediaError(str(told["refused"]))
    if "failed" in told:
        whole = FAILURE.fullmatch(str(told["failed"]))
        raise FailedError(whole[0] if whole else "what no reading says")
    frames = np.frombuffer(answer, np.uint8, offset=end + 1).reshape(told["shape"])
    frames.setflags(write=False)
    times = np.array(told["times"], dtype=np.float64)
    read_seconds, seconds = float(told["read_seconds"]), float(told["seconds"])
    if not np.isfinite([*times.flat, read_seconds, seconds]).all():
        raise ValueError("a time came that is no number")
    sound = frames.ndim == 4 and frames.shape[3] == 3 and times.shape == frames.shape[:1]
    if not sound or not frames.size or told["kind"] not in ("image", "video"):
        raise ValueError(f"frames of shape {frames.shape} came at {times.shape} times")
    decoder, note = str(told["decoder"]), str(told["note"])
    return Media(frames, times, told["kind"], decoder, read_seconds, note, seconds)
