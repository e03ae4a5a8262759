"""The record of a decoded upload, the limits on uploads, and the error of an unusable one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pruning.errors import ExplainedError

MAX_NAME = 80  # characters of a file name in an error message


@dataclass(frozen=True)
class Limits:
    """Limits on one upload, checked before and during decoding: headers may be wrong."""

    bytes: int = 200_000_000  # of a file: minutes of phone video
    pixels: int = 50_000_000  # of a picture
    seconds: float = 300.0  # of a clip: at 1080p and 30 per second, a minute of one core to decode
    frames: int = 18_000  # of a clip: 60 per second


LIMITS = Limits()


class MediaError(ExplainedError):
    """The file cannot be used; the message is one sentence for the visitor."""


@dataclass(frozen=True, eq=False)
class Media:
    """A decoded upload."""

    frames: np.ndarray  # (T, H, W, 3) uint8
    times: np.ndarray  # (T,) float64, seconds into the clip
    kind: str  # "image" | "video"
    decoder: str  # name and version of the decoder
    read_seconds: float
    note: str = ""  # a sentence for the visitor about how the file was read
    seconds: float = 0.0  # length of a clip, its last frame included; 0 if unknown

    @cached_property
    def digest(self) -> str:
        """sha256 of the frames and their shape."""
        content = hashlib.sha256(str(self.frames.shape).encode())
        content.update(np.ascontiguousarray(self.frames))
        return content.hexdigest()


def drawn(picture: np.ndarray) -> Media:
    """Wraps a generated picture (H, W, 3) uint8."""
    return Media(picture[None], np.zeros(1), "image", "none", read_seconds=0.0)


def short_name(path: Path) -> str:
    """The end of the file's name, for error messages."""
    return path.name[-MAX_NAME:]
