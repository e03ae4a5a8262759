"""A clip decoded once from end to end before it is used: is it whole, and when is each frame seen?

Nothing less tells. Containers misstate the number of frames and their times, and decoders cover
damage with what is around it: PyAV marks such a frame, decord does not. What VP8, VP9 and HEVC
decoders do not notice themselves stays unnoticed here.
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

from models.uploads.container import is_cut_short
from models.uploads.limits import Limits
from models.uploads.media import MediaError, short_name
from models.uploads.opening import open_clip, shown_size, too_long, unreadable, video_stream

MAX_SIDE = 1280  # pixels of a frame that is kept: above what models look at, and 32 fit in 160 MB

_FRAME_EACH = {"vp9", "libdav1d"}  # decoders that show one frame for every packet


@dataclass(frozen=True)
class Clip:
    """What is known of a clip that was decoded once, whole and without damage."""

    path: Path
    codec: str
    times: np.ndarray  # (n,) float64, seconds since the first frame, of every frame shown
    start: float  # the first frame's time by the file's own clock, seconds
    size: tuple[int, int]  # width, height to keep: upright, square pixels, within MAX_SIDE
    quarters: int  # turns anticlockwise that set a decoded frame upright
    scaled: bool  # whether `size` differs from that of an upright decoded frame
    seekable: bool  # decoding may begin at any keyframe
    limits: Limits  # that it was found to be within


@dataclass
class _Sight:
    """What was seen so far, decoding from the start."""

    times: list[float] = field(default_factory=list)
    packets: int = 0
    quarters: int = 0
    seekable: bool = True
    whole: bool = True


def probe(path: Path, limits: Limits) -> Clip:
    """Decode the clip once, keeping no frame; refuse in a sentence what cannot be used."""
    name = short_name(path)
    with open_clip(path) as file:
        stream = video_stream(file, name, limits)
        sight = _watch(file, stream, name, limits)
        if not sight.whole or is_cut_short(path):
            raise MediaError(_how_far(file, sight, name))
        if not sight.times:
            raise MediaError(f"{name} holds no frame; upload a clip with at least one.")
        width, height = _kept_size(*shown_size(stream))
        return Clip(
            path=path,
            codec=stream.codec_context.name,
            times=np.array(sight.times) - sight.times[0],
            start=sight.times[0],
            size=(height, width) if sight.quarters % 2 else (width, height),
            quarters=sight.quarters,
            scaled=(width, height) != (stream.width, stream.height),
            seekable=sight.seekable,
            limits=limits,
        )


def _watch(file: InputContainer, stream: VideoStream, name: str, limits: Limits) -> _Sight:
    """Decode all of it, or as far as it is sound."""
    sight = _Sight()
    try:
        for frame in _frames(file, stream, sight):
            if frame.is_corrupt or frame.time is None:
                sight.whole = False
                return sight
            if not sight.times:
                sight.quarters = round(frame.rotation / 90) % 4
            sight.times.append(frame.time)
            late = frame.time - sight.times[0] > limits.seconds
            if late or len(sight.times) > limits.frames:
                raise MediaError(too_long(name, "longer than its header says", limits))
    except av.FFmpegError:
        sight.whole = False
    if stream.codec_context.name in _FRAME_EACH:
        sight.whole &= len(sight.times) == sight.packets
    return sight


def _frames(file: InputContainer, stream: VideoStream, sight: _Sight) -> Iterator[VideoFrame]:
    """The frames in order of show; notes whether a seek to a keyframe would give wrong ones.

    It would where frames stored after a keyframe are shown before it (an open group of pictures:
    they need the group before), and where a keyframe is none, the picture being refreshed in parts.
    """
    key: int | None = None
    keys: set[int] = set()
    for packet in file.demux(stream):
        sight.packets += packet.size > 0
        if packet.pts is not None and packet.is_keyframe:
            key = packet.pts
            keys.add(key)
        elif packet.pts is not None and key is not None and packet.pts < key:
            sight.seekable = False
        for frame in packet.decode():
            sight.seekable &= frame.pts not in keys or frame.pict_type == PictureType.I
            yield frame


def _kept_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(width, height))
    return round(width * scale), round(height * scale)


def _how_far(file: InputContainer, sight: _Sight, name: str) -> str:
    if not sight.times:
        return unreadable(name)
    reached = sight.times[-1] - sight.times[0]
    total = (file.duration or 0) / av.time_base
    of = f" of {total:.1f} s" if total > reached else ""
    return (
        f"{name} is damaged or breaks off: it can be read up to {reached:.1f} s{of}; "
        f"upload it again, whole, or cut it there."
    )
