"""Files that are not complete clips are refused with one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.uploads import probe
from models.uploads.container import is_clip, is_truncated
from models.uploads.media import LIMITS, Limits, MediaError
from models.uploads.read import read_media
from tests.models.clips import cut, spoil, write, write_sound
from tests.models.codecs import SHORT, write_kind

pytestmark = pytest.mark.security


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(MediaError) as refused:
        read_media(path, 8, limits)
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
def test_a_truncated_clip_is_refused(
    tmp_path: Path, suffix: str, encoder: str, container: dict[str, str], share: float
) -> None:
    path = write(tmp_path / f"a.{suffix}", encoder, 150, container=container, **SHORT)
    assert not is_truncated(path)
    cut(path, share)
    assert is_truncated(path)
    sentence = refusal(path)
    assert "damaged or incomplete after" in sentence
    reached = float(sentence.split("after ")[1].split()[0])
    assert 0 < reached < 5.5  # seconds, of 6


def test_a_clip_without_its_index_cannot_be_read_at_all(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "a.mp4", **SHORT), 0.5)  # the index is at the end
    assert "is damaged or incomplete and cannot be read" in refusal(path)


@pytest.mark.parametrize("name", ["H.264", "H.264, open groups", "MPEG-4", "AV1"])
def test_a_clip_damaged_halfway_is_refused_with_the_readable_seconds(
    tmp_path: Path, name: str
) -> None:
    sentence = refusal(spoil(write_kind(tmp_path, name)))
    assert "damaged or incomplete after" in sentence and "of 1.6 s" in sentence


@pytest.mark.parametrize("suffix", ["mp4", "webm", "mkv", "avi"])
def test_a_clip_without_frames_is_refused(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", "libvpx" if suffix == "webm" else "mpeg4", count=0)
    assert refusal(path) == f"a.{suffix} has no frames; upload a clip with at least one."


def test_a_file_with_sound_only_is_refused(tmp_path: Path) -> None:
    assert "has sound but no frames" in refusal(write_sound(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ((4112, 2400), "4112 x 2400 pixels; the limit is 4096 x 2304"),
        ((8, 8), "8 x 8 pixels; each side must have at least 16"),
        ((640, 32), "640 x 32 pixels; one side may be at most 10 times the other"),
    ],
)
def test_a_frame_of_absurd_size_is_refused(
    tmp_path: Path, size: tuple[int, int], sentence: str
) -> None:
    assert sentence in refusal(write(tmp_path / "a.mp4", "mpeg4", count=1, size=size))


def test_no_frame_is_decoded_of_a_clip_that_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_scan", None)
    path = write(tmp_path / "a.mp4", count=2, milliseconds=[0, 301_000])
    assert "the limit is 300 s and 18000 frames: cut it" in refusal(path)


@pytest.mark.parametrize("limits", [Limits(seconds=1), Limits(frames=1)])
def test_a_clip_longer_than_its_header_states_is_refused(tmp_path: Path, limits: Limits) -> None:
    path = write(tmp_path / "a.webm", "libvpx", container={"live": "1"}, deadline="realtime")
    assert "lasts longer than its header states" in refusal(path, limits)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count=1)
    with path.open("r+b") as file:
        file.truncate(LIMITS.bytes + 100_000)  # a hole: nothing is written
    assert "a.mp4 is 200.1 MB; the limit is 200 MB" in refusal(path)


@pytest.mark.parametrize(
    "start", ["#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n", "ffconcat version 1.0\nfile "]
)
def test_a_list_of_other_files_named_mp4_opens_none_of_them(tmp_path: Path, start: str) -> None:
    private = write(tmp_path / "private.ts", "mpeg2video", count=3)
    for target in (f"file://{private}", private.name):
        path = tmp_path / "a.mp4"
        path.write_text(f"{start}{target}\n#EXT-X-ENDLIST\n")
        assert "not a supported picture or clip; upload JPEG" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a clip at all", b"\x00\x00\x00\x18ftypheic" + bytes(99)]
)
def test_a_file_without_clip_content_is_refused_regardless_of_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert not is_clip(path)
    assert "MP4, MOV, WebM, MKV or AVI" in refusal(path)


@pytest.mark.parametrize(
    "head", [b"\x00\x00\x00\x18ftypmp42", b"\x1a\x45\xdf\xa3", b"RIFF\xff\x00\x00\x00AVI "]
)
def test_a_file_that_only_starts_like_a_clip_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(head + np.random.default_rng(0).bytes(5000))
    assert refusal(path)


def test_a_codec_that_is_not_on_the_list_is_not_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", "ffv1", count=2)
    assert "has a video codec that is not supported; save it as H.264" in refusal(path)


def test_a_picture_beyond_the_limits_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (50, 40)).save(path)
    assert "the limit is 0.001: scale it down" in refusal(path, Limits(pixels=1000))
    assert "the limit is 1e-05 MB: cut it" in refusal(path, Limits(bytes=10))


@pytest.mark.parametrize(
    ("hidden", "sentence"),
    [
        (b"<script>alert(1)</script>", "also contains a web page"),
        (b"<SVG onload=alert(1)>", "also contains a web page"),
        (b"%PDF-1.7\n", "also contains a PDF"),
    ],
)
def test_a_picture_that_is_also_a_page_or_a_document_is_refused(
    tmp_path: Path, hidden: bytes, sentence: str
) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (50, 40)).save(path, comment=hidden)
    assert sentence in refusal(path)
    Image.new("RGB", (50, 40)).save(path, comment=b"a <b>harmless</b> remark")
    assert read_media(path, 8).kind == "image"


def test_an_archive_behind_a_picture_or_a_clip_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40)).save(tmp_path / "a.png")
    write(tmp_path / "a.mp4", count=2)
    for path in (tmp_path / "a.png", tmp_path / "a.mp4"):
        assert read_media(path, 2)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("hidden.txt", "hidden")
        assert "also contains an archive" in refusal(path)
