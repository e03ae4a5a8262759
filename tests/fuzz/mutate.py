"""Uploads that were sound once: seeds of every format, and what is done to their bytes."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image

from tests.models.clips import write

SIZE = (64, 48)  # pixels: damage is as varied on a small picture, and it is read sooner
PICTURES = ("png", "jpg", "webp", "gif", "bmp", "tiff")
CLIPS = (("mp4", "libx264"), ("mov", "mpeg4"), ("mkv", "libx264"), ("webm", "libvpx"))
CLIPS += (("avi", "mpeg4"), ("mp4", "mpeg4"))
EDGES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00")
EDGES += (b"\x00\x01", b"\xff\xff", b"\x00", b"\xff")


def picture_seeds(folder: Path) -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in PICTURES:
        Image.fromarray(noise).save(folder / f"seed.{suffix}", exif=exif)
    seeds = [(folder / f"seed.{suffix}").read_bytes() for suffix in PICTURES]
    for mode in ("P", "LA", "I;16"):
        Image.fromarray(noise).convert("L").convert(mode).save(folder / "seed.png")
        seeds.append((folder / "seed.png").read_bytes())
    return seeds


def clip_seeds(folder: Path) -> list[bytes]:
    paths = [
        write(folder / f"seed-{number}.{suffix}", codec, count=12, size=SIZE)
        for number, (suffix, codec) in enumerate(CLIPS)
    ]
    return [path.read_bytes() for path in paths]


def disguises(secret: Path) -> list[bytes]:
    """Files that name another file, or are something else than they are called."""
    lists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{{}}{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{{}}{secret}'\n",
        f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{{}}{secret}'/></svg>",
        f"<MPD><BaseURL>{{}}{secret}</BaseURL>urn:mpeg:dash:profile:isoff-main:2011</MPD>",
    ]
    texts = [text.format(scheme).encode() for text in lists for scheme in ("", "file://")]
    starts = (b"", b"\x00\x00\x00\x10ftypmp42\x00\x00\x00\x00", b"\x1a\x45\xdf\xa3", b"GIF89a")
    return [start + text for start in starts for text in texts]


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """One of the seeds, after one to three accidents, most of them small."""
    content = bytearray(chance.choice(seeds))
    accidents = (*[_flip] * 5, *[_overwrite] * 3, _cut_out, _repeat, _truncate, _splice)
    for _ in range(chance.randint(1, 3)):
        accident = chance.choice(accidents)
        content = accident(content or bytearray(b"\x00"), seeds, chance)
    return bytes(content)


def _place(content: bytearray, chance: random.Random) -> int:
    """Rather often in the first hundred bytes: headers decide most."""
    return chance.randrange(min(len(content), chance.choice((100, *[len(content)] * 3))))


def _flip(content: bytearray, seeds: list[bytes], chance: random.Random) -> bytearray:
    content[_place(content, chance)] ^= 1 << chance.randrange(8)
    return content


def _overwrite(content: bytearray, seeds: list[bytes], chance: random.Random) -> bytearray:
    start, edge = _place(content, chance), chance.choice(EDGES)
    content[start : start + len(edge)] = edge
    return content


def _cut_out(content: bytearray, seeds: list[bytes], chance: random.Random) -> bytearray:
    start = _place(content, chance)
    del content[start : start + chance.choice((1, 4, 64, 1000))]
    return content


def _repeat(content: bytearray, seeds: list[bytes], chance: random.Random) -> bytearray:
    start = _place(content, chance)
    content[start:start] = content[start : start + chance.choice((1, 8, 512))]
    return content


def _truncate(content: bytearray, seeds: list[bytes], chance: random.Random) -> bytearray:
    return content[: chance.randrange(len(content)) + 1]


def _splice(content: bytearray, seeds: list[bytes], chance: random.Random) -> bytearray:
    return content[: _place(content, chance)] + chance.choice(seeds)[_place(content, chance) :]
