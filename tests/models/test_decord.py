"""decord reads a clip only if its frames are correct; PyAV reads the others."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from models.uploads import video
from models.uploads.video import read_video
from tests.models.clips import number, write
from tests.models.codecs import CLIPS, write_kind

pytestmark = pytest.mark.skipif(video.decord is None, reason="no decord for this machine")


@pytest.mark.parametrize("name", CLIPS)
def test_every_kind_of_clip_is_read_by_the_expected_decoder(tmp_path: Path, name: str) -> None:
    media = read_video(write_kind(tmp_path, name), 4)
    assert media.decoder.startswith(f"{CLIPS[name][3]} ")
    assert media.decoder.split()[1][0].isdigit()


@pytest.mark.parametrize("name", ["H.264, open groups", "H.264, refreshed in parts", "HEVC"])
def test_decord_alone_would_give_frames_of_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(video, "_suits_decord", lambda clip: True)
    frames = read_video(write_kind(tmp_path, name), 12).frames
    assert [number(frame) for frame in frames] != [int(i * 39 / 11) for i in range(12)]


class _Broken:
    """A stand-in for decord's reader that fails as it has been seen to."""

    def __init__(self, frames: int = 10, shape: tuple[int, ...] = (2, 96, 128, 3), late: float = 0):
        self.frames, self.shape, self.late = frames, shape, late

    def __call__(self, path: str) -> _Broken:
        return self

    def __len__(self) -> int:
        return self.frames

    def get_batch(self, indices: np.ndarray) -> _Broken:
        return self

    def asnumpy(self) -> np.ndarray:
        return np.zeros(self.shape, dtype=np.uint8)

    def get_frame_timestamp(self, indices: np.ndarray) -> np.ndarray:
        return np.stack([indices / 25 + self.late] * 2, axis=1)

    def seek(self, place: int) -> None:
        if not self.shape:
            raise RuntimeError("stuck")


@pytest.mark.parametrize(
    "reader",
    [
        lambda path: 1 / 0,
        _Broken(frames=9),
        _Broken(shape=(2, 96, 128, 4)),
        _Broken(late=0.04),
        _Broken(shape=()),
    ],
    ids=["raises", "miscounts", "of four channels", "of another time", "cannot be rewound"],
)
def test_where_decord_fails_the_clip_is_read_by_pyav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: object
) -> None:
    monkeypatch.setattr(video.decord, "VideoReader", reader)
    media = read_video(write(tmp_path / "a.mp4", count=10), 2)
    assert media.decoder == f"PyAV {av.__version__}"
    assert [number(frame) for frame in media.frames] == [0, 9]


def test_a_stand_in_that_does_not_fail_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video.decord, "VideoReader", _Broken())
    assert read_video(write(tmp_path / "a.mp4", count=10), 2).decoder.startswith("decord")
