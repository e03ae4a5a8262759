"""Both decoders return a clip's displayed frames with their times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.uploads import video
from models.uploads.video import read_video
from tests.models.clips import TURNS, decoded, number, picture, turn, write, write_in_sizes
from tests.models.codecs import CLIPS, write_kind


@pytest.mark.parametrize("name", CLIPS)
def test_every_kind_of_clip_gives_its_displayed_frames_and_times(tmp_path: Path, name: str) -> None:
    path = write_kind(tmp_path, name)
    truth = decoded(path)
    assert [number(frame) for _, frame in truth] == list(range(40))
    media = read_video(path, 12)
    chosen = [int(i * 39 / 11) for i in range(12)]
    assert [number(frame) for frame in media.frames] == chosen
    assert media.times == pytest.approx([truth[index][0] for index in chosen])
    for frame, index in zip(media.frames, chosen, strict=True):
        assert np.abs(frame.astype(int) - truth[index][1]).mean() < 3
    assert media.kind == "video" and media.note == ""
    assert media.read_seconds > 0


@pytest.fixture(params=["decord", "PyAV"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two in turn: without decord, PyAV reads."""
    if request.param == "PyAV":
        monkeypatch.setattr(video, "decord", None)
    elif video.decord is None:
        pytest.skip("no decord for this machine")
    return request.param


def test_frames_at_uneven_times_keep_them(tmp_path: Path, decoder: str) -> None:
    moments = [0, 40, 50, 400, 410, 1000, 3000, 3040]
    media = read_video(write(tmp_path / "a.mp4", count=8, milliseconds=moments), 8)
    assert media.decoder.startswith(decoder)
    assert media.times == pytest.approx(np.array(moments) / 1000, abs=1e-3)
    assert [number(frame) for frame in media.frames] == list(range(8))


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    moments = [500, 540, 580]
    media = read_video(write(tmp_path / "a.mkv", count=3, milliseconds=moments), 3)
    assert media.times == pytest.approx([0, 0.04, 0.08])


@pytest.mark.parametrize("degrees", TURNS)
def test_a_clip_filmed_sideways_stands_upright(tmp_path: Path, decoder: str, degrees: int) -> None:
    media = read_video(turn(write(tmp_path / "a.mp4", count=10), degrees), 2)
    assert media.decoder.startswith(decoder)
    for frame, index in zip(media.frames, (0, 9), strict=True):
        upright = np.rot90(picture(index), degrees // 90)
        assert frame.shape == upright.shape
        assert np.abs(frame.astype(int) - upright).mean() < 12


def test_large_frames_are_scaled_down(tmp_path: Path, decoder: str) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=3, size=(1600, 320)), 2)
    assert media.decoder.startswith(decoder)
    assert media.frames.shape == (2, 256, 1280, 3)
    assert [number(frame) for frame in media.frames] == [0, 2]


def test_large_frames_filmed_sideways_are_scaled_and_turned(tmp_path: Path, decoder: str) -> None:
    media = read_video(turn(write(tmp_path / "a.mp4", count=3, size=(1600, 320)), 90), 2)
    assert media.frames.shape == (2, 1280, 256, 3)
    assert [number(np.rot90(frame, -1)) for frame in media.frames] == [0, 2]


@pytest.mark.parametrize("sizes", [((128, 96), (256, 192)), ((256, 192), (128, 96))], ids=str)
def test_frames_that_change_size_half_way_are_kept_at_one(
    tmp_path: Path, decoder: str, sizes: tuple[tuple[int, int], ...]
) -> None:
    media = read_video(write_in_sizes(tmp_path / "a.webm", *sizes), 4)
    assert media.frames.shape == (4, *sizes[-1][::-1], 3)
    assert [number(frame) for frame in media.frames] == [0, 3, 6, 9]


def test_pixels_that_are_not_square_are_stretched_to_their_width(
    tmp_path: Path, decoder: str
) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=2, pixel_aspect=2), 2)
    assert media.decoder.startswith(decoder)
    assert media.frames.shape == (2, 96, 256, 3)


def test_a_clip_with_too_few_frames_gives_all_of_them_with_a_note(
    tmp_path: Path, decoder: str
) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=3), 8)
    assert [number(frame) for frame in media.frames] == [0, 1, 2]
    assert media.note == "The clip has 3 frames, fewer than the 8 requested: all are used."


def test_a_clip_of_one_frame_is_a_clip(tmp_path: Path, decoder: str) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=1), 8)
    assert media.frames.shape == (1, 96, 128, 3)
    assert media.times.tolist() == [0]
    assert "1 frame, fewer than the 8" in media.note


def test_one_frame_of_a_clip_is_its_first(tmp_path: Path) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=5), 1)
    assert [number(frame) for frame in media.frames] == [0]
    assert media.note == ""


def test_frames_cannot_be_written_to(tmp_path: Path, decoder: str) -> None:
    frames = read_video(write(tmp_path / "a.mp4", count=2), 2).frames
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0, 0] = 0


def test_zero_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the minimum is 1"):
        read_video(write(tmp_path / "a.mp4", count=1), 0)
