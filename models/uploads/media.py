"""What an upload is once it is read, and the error of one that cannot be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

MAX_NAME = 80  # letters of a file's name that an error message repeats


class MediaError(ValueError):
    """The file cannot be used, and why, in one sentence a person can act on."""


@dataclass(frozen=True, eq=False)
class Media:
    """An upload as it was read."""

    frames: np.ndarray  # (T, H, W, 3) uint8
    times: np.ndarray  # (T,) float64, seconds into the clip
    kind: str  # "image" | "video"
    decoder: str  # what read it, with its version
    read_seconds: float
    note: str = ""  # what a person should know of how it was read, in a sentence
    seconds: float = 0.0  # that a clip lasts, its last frame included, where that is known

    @cached_property
    def digest(self) -> str:
        """sha256 of the frames and their shape."""
        content = hashlib.sha256(str(self.frames.shape).encode())
        content.update(np.ascontiguousarray(self.frames))
        return content.hexdigest()


def drawn(picture: np.ndarray) -> Media:
    """A picture (H, W, 3) uint8 that never was a file."""
    return Media(picture[None], np.zeros(1), "image", "none", read_seconds=0.0)


def short_name(path: Path) -> str:
    """The file's name, as an error message repeats it."""
    return path.name[-MAX_NAME:]
