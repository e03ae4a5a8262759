"""Opens a clip and checks its header against the limits, before any frame is decoded."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from models.uploads.media import Limits, MediaError, short_name

CODECS = ("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg")  # no other decoder runs
MAX_SIZE = (4096, 2304)  # pixels of a frame, in either orientation: any 4K
MIN_SIDE = 16  # pixels
MAX_ASPECT = 10  # longer side ÷ shorter side: scaling makes the shorter one too small otherwise

# Opens no network address and no file that a playlist names; probing runs no other decoder either.
_DECODERS = (*CODECS, "libdav1d", "libvpx", "libvpx-vp9")
_OPTIONS = {
    "format_whitelist": "mov,matroska,avi",
    "protocol_whitelist": "file",
    "codec_whitelist": ",".join(_DECODERS),
}


def open_clip(path: Path) -> InputContainer:
    """The container, a context manager."""
    name = short_name(path)
    try:
        return av.open(str(path.resolve()), options=_OPTIONS, metadata_errors="replace")
    except EOFError as error:
        raise MediaError(f"{name} has no frames; upload a clip with at least one.") from error
    except av.FFmpegError as error:
        raise MediaError(damaged_message(name)) from error


def video_stream(file: InputContainer, name: str, limits: Limits) -> VideoStream:
    """The main video stream, set to decode on all cores. Raises `MediaError` beyond the limits."""
    stream = file.streams.best("video")
    if (
        not isinstance(stream, VideoStream)
        or stream.disposition & av.stream.Disposition.attached_pic
    ):
        content = "sound but no frames" if file.streams.audio else "no frames"
        raise MediaError(f"{name} has {content}; upload a clip with at least one.")
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in CODECS:
        raise MediaError(f"{name} has a video codec that is not supported; save it as H.264.")
    _check_size(stream, name)
    if file.duration is not None and file.duration / av.time_base > limits.seconds:
        raise MediaError(too_long_message(name, f"{file.duration / av.time_base:.0f} s", limits))
    stream.thread_type = "AUTO"
    return stream


def display_size(stream: VideoStream) -> tuple[int, int]:
    """Width and height in square pixels, before rotation."""
    return round(stream.width * (stream.sample_aspect_ratio or 1)), stream.height


def too_long_message(name: str, length: str, limits: Limits) -> str:
    return (
        f"{name} lasts {length}; the limit is {limits.seconds:g} s and {limits.frames} frames: "
        f"cut it and upload it again."
    )


def damaged_message(name: str) -> str:
    return f"{name} is damaged or incomplete and cannot be read; upload the complete file again."


def _check_size(stream: VideoStream, name: str) -> None:
    width, height = display_size(stream)
    size = f"{name} is {width} x {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise MediaError(f"{size}; each side must have at least {MIN_SIDE}: upload a larger clip.")
    if max(width * height, stream.width * stream.height) > MAX_SIZE[0] * MAX_SIZE[1]:
        limit = f"{MAX_SIZE[0]} x {MAX_SIZE[1]}"
        raise MediaError(f"{size}; the limit is {limit}: scale it down and upload it again.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise MediaError(
            f"{size}; one side may be at most {MAX_ASPECT} times the other: crop it first."
        )
