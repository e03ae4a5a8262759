"""Reads frames of a clip: with decord if its frames are correct, with PyAV otherwise.

`probe` decodes the clip first and finds the time of each frame. decord then seeks to the keyframe
before each requested frame; PyAV decodes again from the start.
"""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from models.uploads.media import LIMITS, Limits, Media, short_name
from models.uploads.opening import open_clip, video_stream
from models.uploads.probe import Clip, probe

try:
    import decord
except (ImportError, OSError):  # no wheel for this machine, or one that does not load
    decord = None

DECORD_CODECS = {"h264", "vp8", "vp9", "mpeg4"}  # decord cannot open AV1 and misreads HEVC
TIME_TOLERANCE = 1e-3  # seconds between the time stamps of two decoders


def read_video(path: str | Path, num_frames: int, limits: Limits = LIMITS) -> Media:
    """`num_frames` frames of the clip, upright, in RGB, with their times.

    They are evenly spaced, the first and the last frame included: of n frames those with number
    i(n-1)/(T-1), rounded down. Returns all frames of a shorter clip, with a note.
    """
    if num_frames < 1:
        raise ValueError(f"Got {num_frames} frames to read; the minimum is 1.")
    started = time.perf_counter()
    clip = probe(Path(path), limits)
    count = len(clip.times)
    indices = np.linspace(0, count - 1, min(num_frames, count)).astype(int)  # (T,)
    frames, decoder = _read_frames(clip, indices)
    frames.setflags(write=False)
    return Media(
        frames=frames,
        times=clip.times[indices],
        kind="video",
        decoder=decoder,
        read_seconds=time.perf_counter() - started,
        seconds=_duration(clip.times),
        note=_short_note(count, num_frames) if count < num_frames else "",
    )


def _duration(times: np.ndarray) -> float:
    """Length in seconds: the last frame lasts as long as the mean of the others."""
    return float(times[-1] * len(times) / max(len(times) - 1, 1))


def _short_note(count: int, requested: int) -> str:
    frames = "1 frame" if count == 1 else f"{count} frames"
    return f"The clip has {frames}, fewer than the {requested} requested: all are used."


def _read_frames(clip: Clip, indices: np.ndarray) -> tuple[np.ndarray, str]:
    """Frames (T, H, W, 3) uint8, and the decoder's name and version."""
    frames = _read_with_decord(clip, indices) if _suits_decord(clip) else None
    if frames is not None:
        return frames, f"decord {decord.__version__}"
    return _read_with_pyav(clip, indices), f"PyAV {av.__version__}"


def _suits_decord(clip: Clip) -> bool:
    """False if decord would seek to unsafe keyframes, or rotate and scale: it scrambles those."""
    scrambled = clip.scaled and clip.quarters % 2 == 1
    return decord is not None and clip.codec in DECORD_CODECS and clip.seekable and not scrambled


def _read_with_decord(clip: Clip, indices: np.ndarray) -> np.ndarray | None:
    """The frames; None if decord fails, or if its frame times differ from those of `probe`."""
    width, height = clip.size
    try:
        scale = {"width": width, "height": height} if clip.scaled else {}
        reader = decord.VideoReader(str(clip.path.resolve()), **scale)
        if len(reader) != len(clip.times):
            return None
        frames: np.ndarray = reader.get_batch(indices).asnumpy()
        times = reader.get_frame_timestamp(indices)[:, 0] - clip.start  # (T,)
        reader.seek(0)  # otherwise decord decodes ahead and keeps those frames in memory
    except Exception:  # any exception: PyAV can read this clip
        return None
    same_times = np.allclose(times, clip.times[indices], rtol=0, atol=TIME_TOLERANCE)
    return frames if same_times and frames.shape == (len(indices), height, width, 3) else None


def _read_with_pyav(clip: Clip, indices: np.ndarray) -> np.ndarray:
    wanted = set(indices.tolist())
    frames = []
    with open_clip(clip.path) as file:
        decoded = file.decode(video_stream(file, short_name(clip.path), clip.limits))
        for number, frame in enumerate(decoded):
            if number in wanted:
                frames.append(_upright(frame, clip))
            if len(frames) == len(wanted):
                break
    return np.stack(frames)


def _upright(frame: VideoFrame, clip: Clip) -> np.ndarray:
    """A frame (H, W, 3) uint8, scaled before rotation so that no large frame stays in memory."""
    width, height = clip.size[::-1] if clip.quarters % 2 else clip.size
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="BICUBIC")
    return np.rot90(small.to_ndarray(), clip.quarters)
