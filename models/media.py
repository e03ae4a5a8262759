"""Files into frames: the one place where an upload is read, and refused in words."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

from models.container import CONTAINERS, is_clip
from models.limits import LIMITS, Limits
from models.polyglot import second_nature

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_NAME = 80  # letters of a file's name that a refusal repeats

Image.init()  # loads the readers now: else the first picture's time would be five times too long

# What Pillow's readers raise on broken bytes: they parse first and check later.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


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


def read_media(path: str | Path, num_frames: int, limits: Limits = LIMITS) -> Media:
    """A picture, or `num_frames` frames of a clip: the content decides which, not the name.

    In this process: what strangers sent is read by `app.reading`, which calls this elsewhere.
    """
    file = local_file(path)
    _check_file(file, limits)
    if not is_clip(file):
        return read_image(path, limits)
    from models.video import read_video  # here: who needs no clip needs no video library

    return read_video(path, num_frames, limits)


def read_image(path: str | Path, limits: Limits = LIMITS) -> Media:
    """The picture in a file, upright and in RGB; the first one where the file holds several."""
    started = time.perf_counter()
    file = local_file(path)
    name = said(file)
    with open_picture(file, limits) as picture:
        width, height = picture.size
        if width * height > limits.pixels:
            raise MediaError(
                f"{name} is {width} x {height} pixels, {width * height / 1e6:.1f} megapixels; "
                f"at most {limits.pixels / 1e6:g} can be read: scale it down first."
            )
        try:
            frame = np.asarray(to_rgb(ImageOps.exif_transpose(picture)))  # (H, W, 3)
        except BROKEN as error:
            raise MediaError(f"{name} is damaged: it breaks off or cannot be decoded.") from error
    return Media(
        frames=frame[None],
        times=np.zeros(1),
        kind="image",
        decoder=f"Pillow {PIL.__version__}",
        read_seconds=time.perf_counter() - started,
    )


def local_file(path: str | Path) -> Path:
    """The path, where a file of this machine lies under it."""
    if "://" in str(path) or str(path).startswith("data:"):
        raise MediaError(f"{str(path)[:MAX_NAME]} is a web address; save the file and upload it.")
    if not os.path.isfile(path):  # False too for what no file can be called
        raise MediaError(f"There is no file {said(Path(path))}; upload a picture or a clip.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{said(Path(path))} may not be read here; change its permissions.")
    return Path(path)


def _check_file(path: Path, limits: Limits) -> None:
    size = path.stat().st_size
    if size > limits.bytes:
        raise MediaError(
            f"{said(path)} is {size / 1e6:.1f} MB; at most {limits.bytes / 1e6:g} can be read: "
            f"cut it, or save it smaller."
        )
    if hidden := second_nature(path):
        raise MediaError(
            f"{said(path)} is not a picture or a clip alone: it is or holds {hidden}; save it anew."
        )


def said(path: Path) -> str:
    """The file's name as a refusal repeats it."""
    return path.name[-MAX_NAME:]


def drawn(picture: np.ndarray) -> Media:
    """A picture (H, W, 3) uint8 that never was a file."""
    return Media(picture[None], np.zeros(1), "image", "none", read_seconds=0.0)


def open_picture(path: Path, limits: Limits) -> Image.Image:
    """The header only: nothing is decoded before its size is known."""
    name = said(path)
    try:
        return Image.open(path, formats=FORMATS)
    except TOO_LARGE as error:
        raise MediaError(
            f"{name} has far more than {limits.pixels / 1e6:g} megapixels; scale it down first."
        ) from error
    except BROKEN as error:
        raise MediaError(
            f"{name} is not a picture or a clip that can be read; "
            f"wanted {', '.join(FORMATS + CONTAINERS)}."
        ) from error


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB; what is transparent shows white."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) / 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):  # 32 bits say nothing about what is white: stretch what is there
        values = np.asarray(picture, dtype=np.float64)
        values = (values - values.min()) * (255 / (np.ptp(values) or 1))
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        opaque = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return picture.convert("RGB")
