"""Reads an uploaded picture or clip; an unusable file raises `MediaError` with one sentence."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

from models.uploads.container import CONTAINERS, is_clip, second_format
from models.uploads.media import LIMITS, MAX_NAME, Limits, Media, MediaError, short_name

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

Image.init()  # loads Pillow's readers now: otherwise the first picture takes five times as long

# Pillow's readers raise these on damaged bytes: they parse first and check later.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_media(path: str | Path, num_frames: int, limits: Limits = LIMITS) -> Media:
    """A picture, or `num_frames` frames of a clip, detected by content and not by name.

    Decodes in this process; `app.reading` calls it in a confined process for visitors' files.
    """
    file = local_file(path)
    _check_file(file, limits)
    if not is_clip(file):
        return read_image(path, limits)
    from models.uploads.video import read_video  # a picture needs no video library

    return read_video(path, num_frames, limits)


def read_image(path: str | Path, limits: Limits = LIMITS) -> Media:
    """The first picture in a file, upright and in RGB."""
    started = time.perf_counter()
    file = local_file(path)
    name = short_name(file)
    with open_picture(file, limits) as picture:
        width, height = picture.size
        if width * height > limits.pixels:
            raise MediaError(
                f"{name} is {width} x {height} pixels, {width * height / 1e6:.1f} megapixels; "
                f"the limit is {limits.pixels / 1e6:g}: scale it down and upload it again."
            )
        try:
            frame = np.asarray(to_rgb(ImageOps.exif_transpose(picture)))  # (H, W, 3)
        except BROKEN as error:
            raise MediaError(
                f"{name} is damaged or incomplete; upload the complete file again."
            ) from error
    return Media(
        frames=frame[None],
        times=np.zeros(1),
        kind="image",
        decoder=f"Pillow {PIL.__version__}",
        read_seconds=time.perf_counter() - started,
    )


def local_file(path: str | Path) -> Path:
    """The path of a readable file on this machine. Raises `MediaError` for any other path."""
    if "://" in str(path) or str(path).startswith("data:"):
        raise MediaError(f"{str(path)[:MAX_NAME]} is a web address; save the file and upload it.")
    if not os.path.isfile(path):  # also False for a name that no file can have
        raise MediaError(f"There is no file {short_name(Path(path))}; upload a picture or a clip.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{short_name(Path(path))} is not readable; change its permissions.")
    return Path(path)


def _check_file(path: Path, limits: Limits) -> None:
    name, size = short_name(path), path.stat().st_size
    if size > limits.bytes:
        raise MediaError(
            f"{name} is {size / 1e6:.1f} MB; the limit is {limits.bytes / 1e6:g} MB: "
            f"cut it, or save it in a smaller size."
        )
    if second := second_format(path):
        raise MediaError(
            f"{name} also contains {second}; save it again as a picture or a clip only."
        )


def open_picture(path: Path, limits: Limits) -> Image.Image:
    """Reads the header only, to check the size before decoding."""
    name = short_name(path)
    try:
        return Image.open(path, formats=FORMATS)
    except TOO_LARGE as error:
        raise MediaError(
            f"{name} has far more than {limits.pixels / 1e6:g} megapixels, the limit: "
            f"scale it down and upload it again."
        ) from error
    except BROKEN as error:
        raise MediaError(
            f"{name} is not a supported picture or clip; "
            f"upload {', '.join(FORMATS + CONTAINERS[:-1])} or {CONTAINERS[-1]}."
        ) from error


def to_rgb(picture: Image.Image) -> Image.Image:
    """Converts any mode to 8-bit RGB, over a white background."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) / 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):  # 32 bits define no white: stretch the range of the values
        values = np.asarray(picture, dtype=np.float64)
        values = (values - values.min()) * (255 / (np.ptp(values) or 1))
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        opaque = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return picture.convert("RGB")
