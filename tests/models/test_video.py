"""A clip gives the frames that are seen at their times, or it is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from models import opening, probe, video
from models.container import is_clip, is_cut_short
from models.media import MediaError, read_media
from models.video import read_video
from tests.models.clips import TURNS, cut, decoded, number, picture, spoil, turn, write, write_sound

needs_decord = pytest.mark.skipif(video.decord is None, reason="no decord for this machine")
SHORT = {"g": "8"}  # frames from one keyframe to the next

# name: (suffix, encoder, its options, what must have read it)
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


def made(folder: Path, name: str) -> Path:
    suffix, encoder, options, _ = CLIPS[name]
    try:
        av.Codec(encoder, "w")
    except av.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {encoder}")
    return write(folder / f"a.{suffix}", encoder, **options)


@pytest.mark.parametrize("name", CLIPS)
def test_every_kind_of_clip_gives_the_frames_that_are_seen_at_their_times(
    tmp_path: Path, name: str
) -> None:
    path = made(tmp_path, name)
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


@needs_decord
@pytest.mark.parametrize("name", CLIPS)
def test_decord_reads_what_it_reads_rightly_and_is_on_record(tmp_path: Path, name: str) -> None:
    media = read_video(made(tmp_path, name), 4)
    assert media.decoder.startswith(f"{CLIPS[name][3]} ")
    assert media.decoder.split()[1][0].isdigit()


@needs_decord
@pytest.mark.parametrize("name", ["H.264, open groups", "H.264, refreshed in parts", "HEVC"])
def test_decord_alone_would_give_frames_of_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(video, "_suits_decord", lambda clip: True)
    frames = read_video(made(tmp_path, name), 12).frames
    assert [number(frame) for frame in frames] != [int(i * 39 / 11) for i in range(12)]


def test_frames_at_uneven_times_keep_them(tmp_path: Path) -> None:
    moments = [0, 40, 50, 400, 410, 1000, 3000, 3040]
    media = read_video(write(tmp_path / "a.mp4", count=8, milliseconds=moments), 8)
    assert media.times == pytest.approx(np.array(moments) / 1000, abs=1e-3)
    assert [number(frame) for frame in media.frames] == list(range(8))


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    moments = [500, 540, 580]
    media = read_video(write(tmp_path / "a.mkv", count=3, milliseconds=moments), 3)
    assert media.times == pytest.approx([0, 0.04, 0.08])


@pytest.fixture(params=["decord", "PyAV"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two in turn: without decord, PyAV reads."""
    if request.param == "PyAV":
        monkeypatch.setattr(video, "decord", None)
    elif video.decord is None:
        pytest.skip("no decord for this machine")
    return request.param


@pytest.mark.parametrize("degrees", TURNS)
def test_a_clip_filmed_sideways_stands_upright(tmp_path: Path, decoder: str, degrees: int) -> None:
    media = read_video(turn(write(tmp_path / "a.mp4", count=10), degrees), 2)
    assert media.decoder.startswith(decoder)
    for frame, index in zip(media.frames, (0, 9), strict=True):
        upright = np.rot90(picture(index), degrees // 90)
        assert frame.shape == upright.shape
        assert np.abs(frame.astype(int) - upright).mean() < 12


def test_large_frames_are_scaled_to_what_models_look_at(tmp_path: Path, decoder: str) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=3, size=(1600, 320)), 2)
    assert media.decoder.startswith(decoder)
    assert media.frames.shape == (2, 256, 1280, 3)
    assert [number(frame) for frame in media.frames] == [0, 2]


def test_large_frames_filmed_sideways_are_scaled_and_turned(tmp_path: Path, decoder: str) -> None:
    media = read_video(turn(write(tmp_path / "a.mp4", count=3, size=(1600, 320)), 90), 2)
    assert media.frames.shape == (2, 1280, 256, 3)
    assert [number(np.rot90(frame, -1)) for frame in media.frames] == [0, 2]


def test_pixels_that_are_not_square_are_shown_as_wide_as_they_are(
    tmp_path: Path, decoder: str
) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=2, pixel_aspect=2), 2)
    assert media.decoder.startswith(decoder)
    assert media.frames.shape == (2, 96, 256, 3)


def test_fewer_frames_than_asked_are_all_used_and_it_is_said(tmp_path: Path, decoder: str) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=3), 8)
    assert [number(frame) for frame in media.frames] == [0, 1, 2]
    assert media.note == "The clip holds 3 frames where 8 were asked for: all of it is used."


def test_a_clip_of_one_frame_is_a_clip(tmp_path: Path, decoder: str) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=1), 8)
    assert media.frames.shape == (1, 96, 128, 3)
    assert media.times.tolist() == [0]
    assert "1 frame where 8" in media.note


def test_one_frame_of_a_clip_is_its_first(tmp_path: Path) -> None:
    media = read_video(write(tmp_path / "a.mp4", count=5), 1)
    assert [number(frame) for frame in media.frames] == [0]
    assert media.note == ""


def test_frames_cannot_be_written_to(tmp_path: Path, decoder: str) -> None:
    frames = read_video(write(tmp_path / "a.mp4", count=2), 2).frames
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0, 0] = 0


def test_no_frame_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanted at least 1"):
        read_video(write(tmp_path / "a.mp4", count=1), 0)


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


@needs_decord
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


@needs_decord
def test_the_stand_in_would_be_believed_if_it_did_not_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video.decord, "VideoReader", _Broken())
    assert read_video(write(tmp_path / "a.mp4", count=10), 2).decoder.startswith("decord")


def refusal(path: Path) -> str:
    with pytest.raises(MediaError) as refused:
        read_media(path, 8)
    sentence = str(refused.value)
    assert sentence.endswith(".") and "\n" not in sentence
    assert str(path.parent) not in sentence  # a server's folders are its own business
    return sentence


@pytest.mark.parametrize(
    ("suffix", "encoder", "container"),
    [
        ("mp4", "libx264", {"movflags": "faststart"}),
        ("mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("mkv", "libx264", {}),
        ("webm", "libvpx", {}),
        ("avi", "mpeg4", {}),
    ],
    ids=["mp4", "fragmented mp4", "mkv", "webm", "avi"],
)
@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_clip_that_breaks_off_is_not_taken_for_the_whole(
    tmp_path: Path, suffix: str, encoder: str, container: dict[str, str], share: float
) -> None:
    path = write(tmp_path / f"a.{suffix}", encoder, 150, container=container, **SHORT)
    assert not is_cut_short(path)
    cut(path, share)
    assert is_cut_short(path)
    sentence = refusal(path)
    assert "damaged or breaks off: it can be read up to" in sentence
    reached = float(sentence.split("up to ")[1].split()[0])
    assert 0 < reached < 5.5  # seconds, of 6


def test_a_clip_without_its_index_cannot_be_read_at_all(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "a.mp4", **SHORT), 0.5)  # the index is at the end
    assert "nothing of it can be read" in refusal(path)


@pytest.mark.parametrize("name", ["H.264", "H.264, open groups", "MPEG-4", "AV1"])
def test_a_clip_damaged_half_way_is_refused_with_how_far_it_can_be_read(
    tmp_path: Path, name: str
) -> None:
    sentence = refusal(spoil(made(tmp_path, name)))
    assert "it can be read up to" in sentence and "of 1.6 s" in sentence


@pytest.mark.parametrize("suffix", ["mp4", "webm", "mkv", "avi"])
def test_a_clip_without_a_frame_says_so(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", "libvpx" if suffix == "webm" else "mpeg4", count=0)
    assert refusal(path) == f"a.{suffix} holds no frame; upload a clip with at least one."


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    assert "holds sound but no moving pictures" in refusal(write_sound(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ((4112, 2400), "4112 x 2400 pixels; at most 4096 x 2304"),
        ((8, 8), "8 x 8 pixels; wanted at least 16 a side"),
        ((640, 32), "640 x 32 pixels; one side may be 10 times the other"),
    ],
)
def test_a_frame_of_absurd_size_is_refused(
    tmp_path: Path, size: tuple[int, int], sentence: str
) -> None:
    assert sentence in refusal(write(tmp_path / "a.mp4", "mpeg4", count=1, size=size))


def test_no_frame_is_decoded_of_a_clip_that_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_watch", None)
    path = write(tmp_path / "a.mp4", count=2, milliseconds=[0, 301_000])
    assert "at most 300 s and 18000 frames can be read: cut it first" in refusal(path)


@pytest.mark.parametrize("limit", ["MAX_SECONDS", "MAX_FRAMES"])
def test_a_clip_longer_than_its_header_says_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(probe, limit, 1)
    path = write(tmp_path / "a.webm", "libvpx", container={"live": "1"}, deadline="realtime")
    assert "lasts longer than its header says" in refusal(path)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count=1)
    with path.open("r+b") as file:
        file.truncate(opening.MAX_BYTES + 100_000)  # a hole: nothing is written
    assert "a.mp4 is 200.1 MB; at most 200 can be read" in refusal(path)


@pytest.mark.parametrize(
    "start", ["#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n", "ffconcat version 1.0\nfile "]
)
def test_a_list_of_other_files_named_mp4_opens_none_of_them(tmp_path: Path, start: str) -> None:
    private = write(tmp_path / "private.ts", "mpeg2video", count=3)
    for target in (f"file://{private}", private.name):
        path = tmp_path / "a.mp4"
        path.write_text(f"{start}{target}\n#EXT-X-ENDLIST\n")
        assert "not a picture or a clip that can be read; wanted JPEG" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a clip at all", b"\x00\x00\x00\x18ftypheic" + bytes(99)]
)
def test_what_is_no_clip_by_its_content_is_refused_whatever_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert not is_clip(path)
    assert "MP4, MOV, WebM, MKV, AVI" in refusal(path)


@pytest.mark.parametrize(
    "head", [b"\x00\x00\x00\x18ftypmp42", b"\x1a\x45\xdf\xa3", b"RIFF\xff\x00\x00\x00AVI "]
)
def test_what_only_begins_like_a_clip_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(head + np.random.default_rng(0).bytes(5000))
    assert refusal(path)
