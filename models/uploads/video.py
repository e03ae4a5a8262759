"""A clip into frames: decord where it is right, PyAV from the start to the end everywhere else.

`probe` has decoded the clip once by then, and told when each frame is seen. Of a clip with many
keyframes decord decodes only what lies before the frames asked for; PyAV starts over.
"""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from models.uploads.limits import LIMITS, Limits
from models.uploads.media import Media, short_name
from models.uploads.opening import open_clip, video_stream
from models.uploads.probe import Clip, probe

try:
    import decord
except (ImportError, OSError):  # no wheel for this machine, or one that does not load
    decord = None

DECORD_CODECS = {"h264", "vp8", "vp9", "mpeg4"}  # AV1 it cannot open, HEVC it reads wrongly
CLOCK = 1e-3  # seconds by which two decoders may differ on when a frame is seen


def read_video(path: str | Path, num_frames: int, limits: Limits = LIMITS) -> Media:
    """`num_frames` frames of the clip, upright, in RGB, with their true times.

    They are spread evenly over the frames, the first and the last included: of n frames the ones
    numbered i(n-1)/(T-1), rounded down. A clip of fewer frames gives all, and says so.
    """
    if num_frames < 1:
        raise ValueError(f"{num_frames} frames were asked for; wanted at least 1.")
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
        note=_few(count, num_frames) if count < num_frames else "",
    )


def _duration(times: np.ndarray) -> float:
    """Frames over their mean rate: the last one is seen as long as the others are on average."""
    return float(times[-1] * len(times) / max(len(times) - 1, 1))


def _few(count: int, asked: int) -> str:
    held = "1 frame" if count == 1 else f"{count} frames"
    return f"The clip holds {held} where {asked} were asked for: all of it is used."


def _read_frames(clip: Clip, indices: np.ndarray) -> tuple[np.ndarray, str]:
    """Frames (T, H, W, 3) uint8 and what read them."""
    frames = _with_decord(clip, indices) if _suits_decord(clip) else None
    if frames is not None:
        return frames, f"decord {decord.__version__}"
    return _with_pyav(clip, indices), f"PyAV {av.__version__}"


def _suits_decord(clip: Clip) -> bool:
    """It seeks to keyframes, safe or not, and scrambles frames that it both turns and scales."""
    scrambled = clip.scaled and clip.quarters % 2 == 1
    return decord is not None and clip.codec in DECORD_CODECS and clip.seekable and not scrambled


def _with_decord(clip: Clip, indices: np.ndarray) -> np.ndarray | None:
    """None where it fails, or does not see the frames that were seen before at the same times."""
    width, height = clip.size
    try:
        scale = {"width": width, "height": height} if clip.scaled else {}
        reader = decord.VideoReader(str(clip.path.resolve()), **scale)
        if len(reader) != len(clip.times):
            return None
        frames: np.ndarray = reader.get_batch(indices).asnumpy()
        times = reader.get_frame_timestamp(indices)[:, 0] - clip.start  # (T,)
        reader.seek(0)  # else it decodes ahead and holds what it has decoded
    except Exception:  # of any kind: PyAV has decoded this clip once already
        return None
    same_times = np.allclose(times, clip.times[indices], rtol=0, atol=CLOCK)
    return frames if same_times and frames.shape == (len(indices), height, width, 3) else None


def _with_pyav(clip: Clip, indices: np.ndarray) -> np.ndarray:
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
    """(H, W, 3) uint8, scaled before it is turned: no large frame is kept."""
    width, height = clip.size[::-1] if clip.quarters % 2 else clip.size
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="BICUBIC")
    return np.rot90(small.to_ndarray(), clip.quarters)
