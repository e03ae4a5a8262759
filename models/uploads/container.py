"""What a file is by its first bytes, and whether all of it is there: asked before any decoder.

A name proves nothing: a playlist called .mp4 makes a decoder open the files that it names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

CONTAINERS = ("MP4", "MOV", "WebM", "MKV", "AVI")
MAX_BOXES = 100_000  # that are walked: a hostile file can hold millions

_MATROSKA = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"  # the element of a Matroska file that holds all the rest
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_STILLS = (b"heic", b"heix", b"mif1", b"avif")  # pictures in a clip's container
_FRAME_BOXES = (b"moov", b"moof", b"mdat")


def is_clip(path: Path) -> bool:
    """Whether it begins like one of `CONTAINERS`."""
    with path.open("rb") as file:
        return _container(file.read(12)) != ""


def is_cut_short(path: Path) -> bool:
    """Whether the file ends before the place where it says that it does."""
    there = os.path.getsize(path)
    with path.open("rb") as file:
        container = _container(file.read(12))
        file.seek(0)
        if container == "avi":
            return 8 + int.from_bytes(file.read(8)[4:], "little") > there
        if container == "matroska":
            return _matroska_end(file) > there
        return container == "mov" and _ends_inside_a_box(file, there)


def _container(head: bytes) -> str:
    if head[:4] == _MATROSKA:
        return "matroska"
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return "avi"
    return "mov" if head[4:8] in _FIRST_BOXES and head[8:] not in _STILLS else ""


def _ends_inside_a_box(file: BinaryIO, there: int) -> bool:
    start = 0
    for _ in range(MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:  # the true one follows, in 64 bits
            size = int.from_bytes(head[8:], "big")
        if size < 8:  # 0 = as far as the file goes; else no box: some phones add bytes of their own
            return False
        start += size
        if start >= there:
            return start > there and head[4:8] in _FRAME_BOXES
    return False


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment ends, in bytes; 0 where that is not said, as in a live recording."""
    file.seek(4)
    header = _read_size(file) or 0
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    size = _read_size(file)
    return 0 if size is None else file.tell() + size


def _read_size(file: BinaryIO) -> int | None:
    """A Matroska length: as many bytes as its first one has leading zeros, and one; None = open."""
    first = file.read(1)
    bits = 7 * (9 - first[0].bit_length()) if first and first[0] else 0
    value = int.from_bytes(first + file.read(max(bits // 7 - 1, 0)), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
