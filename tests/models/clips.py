"""Writes test clips whose frames encode their own number, so that a wrong frame is detected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, RATE = 128, 96, 25
ONE, QUARTER = 1 << 16, 1 << 30  # of an MP4's display matrix, in its fixed point
TURNS = {  # anticlockwise degrees that make the picture upright -> display matrix
    270: (0, ONE, 0, -ONE, 0, 0, 0, 0, QUARTER),
    180: (-ONE, 0, 0, 0, -ONE, 0, 0, 0, QUARTER),
    90: (0, -ONE, 0, ONE, 0, 0, 0, 0, QUARTER),
}


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A frame (H, W, 3): eight white or black bars encode the number above a red half."""
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    bits = [255 * (number >> bit & 1) for bit in range(8)]
    frame[: height // 2] = np.repeat(bits, width // 8)[None, :, None]
    frame[height // 2 :] = (200, 40, 40)
    return frame


def number(frame: np.ndarray) -> int:
    """Decodes the number of a `picture`."""
    height, width = frame.shape[:2]
    middles = frame[height // 4, width // 16 :: width // 8].mean(axis=-1)
    return sum(1 << bit for bit in range(8) if middles[bit] > 128)


def write(
    path: Path,
    codec: str = "libx264",
    count: int = 40,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    milliseconds: Sequence[int] | None = None,
    pixel_aspect: int = 1,
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Writes `count` frames, 25 per second or at `milliseconds`."""
    with av.open(str(path), "w", container_options=container or {}) as file:
        stream = file.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        if milliseconds:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts = milliseconds[index] if milliseconds else index
            frame.time_base = Fraction(1, 1000 if milliseconds else RATE)
            file.mux(stream.encode(frame))
        if count:
            file.mux(stream.encode())
        else:
            file.start_encoding()
    return path


def write_in_sizes(path: Path, *sizes: tuple[int, int]) -> Path:
    """Writes five VP8 frames of each size, like a recorded call with changing bandwidth."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=RATE)
        stream.width, stream.height = sizes[0]
        file.start_encoding()
        for start, size in zip(range(0, 5 * len(sizes), 5), sizes, strict=True):
            encoder = av.CodecContext.create("libvpx", "w")
            (encoder.width, encoder.height), encoder.pix_fmt = size, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, RATE), RATE
            frames = [av.VideoFrame.from_ndarray(picture(start + i, *size)) for i in range(5)]
            for index, frame in enumerate(frames, start):
                frame.pts, frame.time_base = index, Fraction(1, RATE)
            for packet in [p for frame in [*frames, None] for p in encoder.encode(frame)]:
                packet.stream = stream
                file.mux(packet)
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16_000, layout="mono")
        silence = np.zeros((1, 1024), dtype=np.float32)
        sound = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        sound.rate = 16_000
        file.mux(stream.encode(sound))
        file.mux(stream.encode())
    return path


def turn(path: Path, degrees: int) -> Path:
    """Sets the rotation in an MP4's track header, as phones do."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", *TURNS[degrees])
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    """Keeps only the first share of the file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def spoil(path: Path) -> Path:
    """Overwrites 200 bytes in the middle with noise."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(content)
    return path


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    """Time and upright pixels of every frame, decoded by PyAV from start to end: the reference."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    return [
        (
            frame.time - frames[0].time,
            np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90),
        )
        for frame in frames
    ]
