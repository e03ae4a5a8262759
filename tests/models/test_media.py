"""Pictures are read as viewers display them; other files are refused with one sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.uploads.media import MediaError
from models.uploads.read import read_image, read_media
from tests.models.clips import write

RED, WHITE, BLUE = (200, 10, 20), (255, 255, 255), (10, 20, 200)


def saved(picture: Image.Image, path: Path, **options: object) -> np.ndarray:
    picture.save(path, **options)
    return read_image(path).frames[0]


def test_a_picture_is_one_frame_with_its_provenance(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), RED).save(tmp_path / "a.png")
    media = read_image(tmp_path / "a.png")
    assert media.frames.shape == (1, 20, 30, 3)
    assert media.frames.dtype == np.uint8
    assert (media.frames == RED).all()
    assert media.kind == "image"
    assert media.times.tolist() == [0]
    assert media.decoder.startswith("Pillow ")
    assert media.read_seconds > 0


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff"])
def test_every_allowed_format_is_read(tmp_path: Path, suffix: str) -> None:
    frame = saved(Image.new("RGB", (32, 32), RED), tmp_path / f"a.{suffix}")
    assert np.abs(frame.astype(int) - RED).max() <= 6


def test_the_digest_is_of_the_pixels_and_their_shape(tmp_path: Path) -> None:
    Image.new("RGB", (4, 2), RED).save(tmp_path / "a.png")
    Image.new("RGB", (4, 2), RED).save(tmp_path / "b.bmp")
    Image.new("RGB", (2, 4), RED).save(tmp_path / "c.png")
    digests = [read_image(tmp_path / name).digest for name in ("a.png", "b.bmp", "c.png")]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_frames_cannot_be_written_to(tmp_path: Path) -> None:
    frame = saved(Image.new("RGB", (4, 2), RED), tmp_path / "a.png")
    with pytest.raises(ValueError, match="read-only"):
        frame[0, 0] = 0


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    for name in ("a.gif", "a.webp", "a.png", "a.tiff"):
        options = {"lossless": True} if name == "a.webp" else {}
        frame = saved(first, tmp_path / name, save_all=True, append_images=[second], **options)
        assert (frame == RED).all(), name
        media = read_media(tmp_path / name, 2)
        assert (media.kind, len(media.frames)) == ("image", 1), name


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (*RED, 0)).convert(mode)
    assert (saved(clear, tmp_path / "a.png") == WHITE).all()
    opaque = Image.new("RGBA", (8, 8), (50, 50, 50, 255)).convert(mode)
    assert (saved(opaque, tmp_path / "b.png") == 50).all()


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert np.abs(saved(half, tmp_path / "a.png").astype(int) - 127).max() <= 1


def test_a_palette_is_looked_up_and_its_transparent_colour_is_white(tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([*BLUE, *RED])
    assert (saved(picture, tmp_path / "a.png") == RED).all()
    assert (saved(picture, tmp_path / "b.png", transparency=1) == WHITE).all()


def test_sixteen_bits_are_brought_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tiff"):
        frame = saved(Image.fromarray(values), tmp_path / name)
        assert frame[0, :, 0].tolist() == [0, 127, 255], name


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_thirty_two_bits_are_stretched(tmp_path: Path, dtype: type) -> None:
    values = np.array([[1000, 2000, 3000]], dtype=dtype)
    frame = saved(Image.fromarray(values), tmp_path / "a.tiff")
    assert frame[0, :, 0].tolist() == [0, 127, 255]
    flat = saved(Image.fromarray(np.full((2, 2), 7, dtype=dtype)), tmp_path / "b.tiff")
    assert (flat == 0).all()


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "YCbCr"])
def test_other_colour_models_are_converted(tmp_path: Path, mode: str) -> None:
    grey = Image.new("RGB", (16, 16), WHITE).convert(mode)
    name = "a.jpg" if mode in ("CMYK", "YCbCr") else "a.png"
    assert (saved(grey, tmp_path / name) >= 250).all()


def test_a_photograph_taken_sideways_stands_upright(tmp_path: Path) -> None:
    pixels = np.zeros((10, 20, 3), dtype=np.uint8)
    pixels[:, :10] = RED  # the left half; it becomes the top one
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    frame = saved(Image.fromarray(pixels), tmp_path / "a.png", exif=exif)
    assert frame.shape == (20, 10, 3)
    assert (frame[:10] == RED).all()
    assert (frame[10:] == 0).all()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    chunks = b""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", size), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        chunks += struct.pack(">I", len(data)) + kind + data + check
    return b"\x89PNG\r\n\x1a\n" + chunks


REFUSED = {
    "empty.png": (b"", "not a supported picture or clip"),
    "text.jpg": (b"not a picture at all", "not a supported picture or clip"),
    "page.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a supported picture or clip"),
    "figure.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a supported picture"),
    "hollow.png": (png_header(100, 100), "damaged"),
    "large.png": (png_header(10_000, 5_001), "5001 pixels, 50.0 megapixels; the limit is 50"),
    "larger.png": (png_header(12_000, 10_000), "megapixels"),
    "bomb.png": (png_header(60_000, 60_000), "megapixels"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.security
def test_a_file_that_is_not_a_picture_is_refused_with_one_sentence(
    tmp_path: Path, name: str
) -> None:
    content, sentence = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=sentence) as refusal:
        read_image(tmp_path / name)
    assert str(refusal.value).endswith(".")
    assert str(tmp_path) not in str(refusal.value)  # a server's folders are its own business


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaError, match=r"damaged|not a supported picture"):
        read_image(path)


@pytest.mark.parametrize(
    "path", ["https://example.org/cat.jpg", "file:///etc/passwd", "data:video/mp4;base64,AAAA"]
)
@pytest.mark.security
def test_an_address_is_not_fetched(path: str) -> None:
    for read in (read_image, lambda path: read_media(path, 8)):
        with pytest.raises(MediaError, match="is a web address; save the file"):
            read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"There is no file gone\.png"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(MediaError, match="There is no file"):
        read_image(tmp_path)


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (30, 20), RED).save(tmp_path / "a.png")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may read anything
    with pytest.raises(MediaError, match=r"a\.png is not readable"):
        read_media(tmp_path / "a.png", 8)


def test_a_file_is_a_picture_or_a_clip_by_its_content_not_its_name(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", count=2).rename(tmp_path / "clip.png")
    Image.new("RGB", (30, 20), RED).save(tmp_path / "picture.mp4", format="PNG")
    assert read_media(clip, 2).kind == "video"
    picture = read_media(tmp_path / "picture.mp4", 8)
    assert picture.kind == "image"
    assert picture.digest == read_image(tmp_path / "picture.mp4").digest
