"""A clip opened: only the file itself, and only within limits that need no frame to be decoded."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from models.uploads.limits import Limits
from models.uploads.media import MediaError, short_name

CODECS = ("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg")  # no other decoder is run
MAX_SIZE = (4096, 2304)  # pixels of a frame, either way up: any 4K
MIN_SIDE = 16  # pixels: less is no picture
MAX_ASPECT = 10  # longer side over shorter: beyond, scaling leaves nothing to see

# Neither the network nor what a playlist names is opened, and probing runs no other decoder either.
_DECODERS = (*CODECS, "libdav1d", "libvpx", "libvpx-vp9")
_OPTIONS = {
    "format_whitelist": "mov,matroska,avi",
    "protocol_whitelist": "file",
    "codec_whitelist": ",".join(_DECODERS),
}


def open_clip(path: Path) -> InputContainer:
    """The container, for a `with`."""
    name = short_name(path)
    try:
        return av.open(str(path.resolve()), options=_OPTIONS, metadata_errors="replace")
    except EOFError as error:
        raise MediaError(f"{name} holds no frame; upload a clip with at least one.") from error
    except av.FFmpegError as error:
        raise MediaError(unreadable(name)) from error


def video_stream(file: InputContainer, name: str, limits: Limits) -> VideoStream:
    """The main moving pictures, within the limits, ready to be decoded on all cores."""
    stream = file.streams.best("video")
    if (
        not isinstance(stream, VideoStream)
        or stream.disposition & av.stream.Disposition.attached_pic
    ):
        held = "sound but no moving pictures" if file.streams.audio else "no frame"
        raise MediaError(f"{name} holds {held}; upload a clip with at least one.")
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in CODECS:
        raise MediaError(f"{name} is coded in a way that is not known here; save it as H.264.")
    _check_size(stream, name)
    if file.duration is not None and file.duration / av.time_base > limits.seconds:
        raise MediaError(too_long(name, f"{file.duration / av.time_base:.0f} s", limits))
    stream.thread_type = "AUTO"
    return stream


def shown_size(stream: VideoStream) -> tuple[int, int]:
    """Width and height in square pixels, before any turn."""
    return round(stream.width * (stream.sample_aspect_ratio or 1)), stream.height


def too_long(name: str, length: str, limits: Limits) -> str:
    return (
        f"{name} lasts {length}; at most {limits.seconds:g} s and {limits.frames} frames "
        f"can be read: cut it first."
    )


def unreadable(name: str) -> str:
    return f"{name} is damaged or breaks off: nothing of it can be read; upload it again, whole."


def _check_size(stream: VideoStream, name: str) -> None:
    width, height = shown_size(stream)
    came = f"{name} is {width} x {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise MediaError(f"{came}; wanted at least {MIN_SIDE} a side.")
    if max(width * height, stream.width * stream.height) > MAX_SIZE[0] * MAX_SIZE[1]:
        most = f"{MAX_SIZE[0]} x {MAX_SIZE[1]}"
        raise MediaError(f"{came}; at most {most} can be read: scale it down first.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise MediaError(f"{came}; one side may be {MAX_ASPECT} times the other: crop it first.")
