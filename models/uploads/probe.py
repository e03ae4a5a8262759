"""Decodes a clip once, to find damage and the time of every frame before the clip is used.

Headers are not enough: containers misstate the number of frames and their times, and decoders
conceal damage. PyAV marks a concealed frame, decord does not. Damage that the VP8, VP9 and HEVC
decoders do not detect is not detected here either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from models.uploads.container import is_truncated
from models.uploads.media import Limits, MediaError, short_name
from models.uploads.opening import (
    damaged_message,
    display_size,
    open_clip,
    too_long_message,
    video_stream,
)

MAX_SIDE = 1280  # pixels of a returned frame: more than models need, and 32 frames fit in 160 MB

_FRAME_PER_PACKET = {"vp9", "libdav1d"}  # decoders that yield one frame for every packet


@dataclass(frozen=True)
class Clip:
    """A clip that was decoded once without damage."""

    path: Path
    codec: str
    times: np.ndarray  # (n,) float64, seconds since the first frame, of every frame
    start: float  # the first frame's time stamp in the file, seconds
    size: tuple[int, int]  # width, height of returned frames: upright, square pixels, in MAX_SIDE
    quarters: int  # anticlockwise quarter turns that make a decoded frame upright
    scaled: bool  # whether `size` differs from the size of an upright decoded frame
    seekable: bool  # decoding may start at any keyframe
    limits: Limits  # that were checked


@dataclass
class _Scan:
    """Results of decoding from the start up to a frame."""

    times: list[float] = field(default_factory=list)
    packets: int = 0
    quarters: int = 0
    seekable: bool = True
    intact: bool = True


def probe(path: Path, limits: Limits) -> Clip:
    """Decodes the clip once and keeps no frame. Raises `MediaError` if it cannot be used."""
    name = short_name(path)
    with open_clip(path) as file:
        stream = video_stream(file, name, limits)
        scan = _scan(file, stream, name, limits)
        if not scan.intact or is_truncated(path):
            raise MediaError(_partial_message(file, scan, name))
        if not scan.times:
            raise MediaError(f"{name} has no frames; upload a clip with at least one.")
        width, height = _output_size(*display_size(stream))
        return Clip(
            path=path,
            codec=stream.codec_context.name,
            times=np.array(scan.times) - scan.times[0],
            start=scan.times[0],
            size=(height, width) if scan.quarters % 2 else (width, height),
            quarters=scan.quarters,
            scaled=(width, height) != (stream.width, stream.height),
            seekable=scan.seekable,
            limits=limits,
        )


def _scan(file: InputContainer, stream: VideoStream, name: str, limits: Limits) -> _Scan:
    """Decodes up to the end or the first damaged frame."""
    scan = _Scan()
    try:
        for frame in _frames(file, stream, scan):
            if frame.is_corrupt or frame.time is None:
                scan.intact = False
                return scan
            if not scan.times:
                scan.quarters = round(frame.rotation / 90) % 4
            scan.times.append(frame.time)
            late = frame.time - scan.times[0] > limits.seconds
            if late or len(scan.times) > limits.frames:
                raise MediaError(too_long_message(name, "longer than its header states", limits))
    except av.FFmpegError:
        scan.intact = False
    if stream.codec_context.name in _FRAME_PER_PACKET:
        scan.intact &= len(scan.times) == scan.packets
    return scan


def _frames(file: InputContainer, stream: VideoStream, scan: _Scan) -> Iterator[VideoFrame]:
    """The frames in display order; sets `scan.seekable` if seeking to keyframes is safe.

    It is not safe if frames stored after a keyframe are displayed before it (an open group of
    pictures: they need the previous group), or if a keyframe refreshes the picture in parts.
    """
    key: int | None = None
    keys: set[int] = set()
    for packet in file.demux(stream):
        scan.packets += packet.size > 0
        if packet.pts is not None and packet.is_keyframe:
            key = packet.pts
            keys.add(key)
        elif packet.pts is not None and key is not None and packet.pts < key:
            scan.seekable = False
        for frame in packet.decode():
            scan.seekable &= frame.pts not in keys or frame.pict_type == PictureType.I
            yield frame


def _output_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(width, height))
    return round(width * scale), round(height * scale)


def _partial_message(file: InputContainer, scan: _Scan, name: str) -> str:
    if not scan.times:
        return damaged_message(name)
    reached = scan.times[-1] - scan.times[0]
    total = (file.duration or 0) / av.time_base
    of = f" of {total:.1f} s" if total > reached else ""
    return (
        f"{name} is damaged or incomplete after {reached:.1f} s{of}; "
        f"upload the complete file again, or cut it there."
    )
