"""The supported kinds of clip, and the expected decoder of each."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.models.clips import write

SHORT = {"g": "8"}  # frames between keyframes

# name: (suffix, encoder, options, expected decoder)
CLIPS = {
    "H.264": ("mp4", "libx264", {**SHORT, "bf": "3"}, "decord"),
    "H.264 in MOV": ("mov", "libx264", {**SHORT, "bf": "3"}, "decord"),
    "H.264 in Matroska": ("mkv", "libx264", {**SHORT, "bf": "3"}, "decord"),
    "H.264, open groups": (
        "mp4",
        "libx264",
        {"x264-params": "open-gop=1:keyint=8:scenecut=0:bframes=3"},
        "PyAV",
    ),
    "H.264, refreshed in parts": (
        "mp4",
        "libx264",
        {"x264-params": "intra-refresh=1:keyint=8:bframes=0"},
        "PyAV",
    ),
    "MPEG-4 in AVI": ("avi", "mpeg4", SHORT, "decord"),
    "H.264 in AVI, reordered": ("avi", "libx264", {**SHORT, "bf": "3"}, "PyAV"),
    "MPEG-4": ("mp4", "mpeg4", SHORT, "decord"),
    "MPEG-4, open groups": ("mp4", "mpeg4", {**SHORT, "bf": "2"}, "PyAV"),
    "VP8": ("webm", "libvpx", {**SHORT, "deadline": "realtime"}, "decord"),
    "VP9": ("webm", "libvpx-vp9", {**SHORT, "deadline": "realtime", "cpu-used": "8"}, "decord"),
    "HEVC": ("mp4", "libx265", {"x265-params": "keyint=8:log-level=none"}, "PyAV"),
    "AV1": ("mp4", "libsvtav1", {**SHORT, "preset": "12", "svtav1-params": "lp=1"}, "PyAV"),
}


def write_kind(folder: Path, name: str) -> Path:
    """Writes a clip of `CLIPS`; skips the test if this PyAV lacks the encoder."""
    suffix, encoder, options, _ = CLIPS[name]
    try:
        av.Codec(encoder, "w")
    except av.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {encoder}")
    return write(folder / f"a.{suffix}", encoder, **options)
