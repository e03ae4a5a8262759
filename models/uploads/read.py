"""Files into frames: the one place where an upload is read, and refused in words."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

from models.uploads.container import CONTAINERS, is_clip
from models.uploads.limits import LIMITS, Limits
from models.uploads.media import MAX_NAME, Media, MediaError, short_name
from models.uploads.polyglot import second_nature

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

Image.init()  # loads the readers now: else the first picture's time would be five times too long

# What Pillow's readers raise on broken bytes: they parse first and check later.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_media(path: str | Path, num_frames: int, limits: Limits = LIMITS) -> Media:
    """A picture, or `num_frames` frames of a clip: the content decides which, not the name.

    In this process: what strangers sent is read by `app.reading`, which calls this elsewhere.
    """
    file = local_file(path)
    _check_file(file, limits)
    if not is_clip(file):
        return read_image(path, limits)
    from models.uploads.video import read_video  # here: who needs no clip needs no video library

    return read_video(path, num_frames, limits)


def read_image(path: str | Path, limits: Limits = LIMITS) -> Media:
    """The picture in a file, upright and in RGB; the first one where the file holds several."""
    started = time.perf_counter()
    file = local_file(path)
    name = short_name(file)
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
        raise MediaError(f"There is no file {short_name(Path(path))}; upload a picture or a clip.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{short_name(Path(path))} may not be read here; change its permissions.")
    return Path(path)


def _check_file(path: Path, limits: Limits) -> None:
    name, size = short_name(path), path.stat().st_size
    if size > limits.bytes:
        raise MediaError(
            f"{name} is {size / 1e6:.1f} MB; at most {limits.bytes / 1e6:g} can be read: "
            f"cut it, or save it smaller."
        )
    if hidden := second_nature(path):
        raise MediaError(
            f"{name} is not a picture or a clip alone: it is or holds {hidden}; save it anew."
        )


def open_picture(path: Path, limits: Limits) -> Image.Image:
    """The header only: nothing is decoded before its size is known."""
    name = short_name(path)
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
