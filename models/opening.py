"""A clip opened: only the file itself, and only within limits that need no frame to be decoded."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from models.media import MediaError, said

MAX_BYTES = 200_000_000  # minutes of what a phone films
MAX_SECONDS = 300.0  # at 1080p and 30 frames a second, about a minute of one core to decode
MAX_FRAMES = 18_000  # that is 60 a second
MAX_SIZE = (4096, 2304)  # pixels of a frame, either way up: any 4K
MIN_SIDE = 16  # pixels: less is no picture
MAX_ASPECT = 10  # longer side over shorter: beyond, scaling leaves nothing to see

# Neither the network nor what a playlist names is opened.
_OPTIONS = {"format_whitelist": "mov,matroska,avi", "protocol_whitelist": "file"}


def open_clip(path: Path) -> InputContainer:
    """The container, for a `with`."""
    name = said(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise MediaError(
            f"{name} is {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} can be read: "
            f"cut it, or save it smaller."
        )
    try:
        return av.open(str(path.resolve()), options=_OPTIONS, metadata_errors="replace")
    except EOFError as error:
        raise MediaError(f"{name} holds no frame; upload a clip with at least one.") from error
    except av.FFmpegError as error:
        raise MediaError(unreadable(name)) from error


def video_stream(file: InputContainer, name: str) -> VideoStream:
    """The main moving pictures, within the limits, ready to be decoded on all cores."""
    stream = file.streams.best("video")
    if (
        not isinstance(stream, VideoStream)
        or stream.disposition & av.stream.Disposition.attached_pic
    ):
        held = "sound but no moving pictures" if file.streams.audio else "no frame"
        raise MediaError(f"{name} holds {held}; upload a clip with at least one.")
    if stream.codec_context is None:
        raise MediaError(f"{name} is coded in a way that is not known here; save it as H.264.")
    _check_size(stream, name)
    if file.duration is not None and file.duration / av.time_base > MAX_SECONDS:
        raise MediaError(too_long(name, f"{file.duration / av.time_base:.0f} s"))
    stream.thread_type = "AUTO"
    return stream


def shown_size(stream: VideoStream) -> tuple[int, int]:
    """Width and height in square pixels, before any turn."""
    return round(stream.width * (stream.sample_aspect_ratio or 1)), stream.height


def too_long(name: str, length: str) -> str:
    return (
        f"{name} lasts {length}; at most {MAX_SECONDS:.0f} s and {MAX_FRAMES} frames can be read: "
        f"cut it first."
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
