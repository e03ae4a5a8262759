"""Detects a file's type and truncation from its bytes, before any decoder opens it.

The name of a file is not enough: a playlist named .mp4 makes a decoder open other files.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import BinaryIO

CONTAINERS = ("MP4", "MOV", "WebM", "MKV", "AVI")
MAX_BOXES = 100_000  # to read: a hostile file can hold millions
MARKUP = (b"<!doctype", b"<html", b"<script", b"<svg", b"<?php")
MARKUP_BYTES = 1024  # from the start: browsers look for markup there, and readers for a PDF

_MATROSKA = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"  # the element of a Matroska file that holds all others
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_STILLS = (b"heic", b"heix", b"mif1", b"avif")  # pictures in a clip's container
_FRAME_BOXES = (b"moov", b"moof", b"mdat")


def is_clip(path: Path) -> bool:
    """Whether the file starts like one of `CONTAINERS`."""
    with path.open("rb") as file:
        return _container(file.read(12)) != ""


def second_format(path: Path) -> str:
    """Another format that the file has too, such as a web page; "" if none.

    This program never runs such content, but other programs may, after a download of the upload.
    """
    with path.open("rb") as file:
        head = file.read(MARKUP_BYTES).lower()
    if any(mark in head for mark in MARKUP):
        return "a web page"
    if b"%pdf-" in head:
        return "a PDF"
    return "an archive" if zipfile.is_zipfile(path) else ""


def is_truncated(path: Path) -> bool:
    """Whether the file is shorter than its own headers state."""
    size = os.path.getsize(path)
    with path.open("rb") as file:
        container = _container(file.read(12))
        file.seek(0)
        if container == "avi":
            return 8 + int.from_bytes(file.read(8)[4:], "little") > size
        if container == "matroska":
            return _matroska_end(file) > size
        return container == "mov" and _ends_inside_a_box(file, size)


def _container(head: bytes) -> str:
    if head[:4] == _MATROSKA:
        return "matroska"
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return "avi"
    return "mov" if head[4:8] in _FIRST_BOXES and head[8:] not in _STILLS else ""


def _ends_inside_a_box(file: BinaryIO, file_size: int) -> bool:
    start = 0
    for _ in range(MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:  # a 64-bit size follows
            size = int.from_bytes(head[8:], "big")
        if size < 8:  # 0 = up to the end of the file; 1 to 7 = no box: some phones append bytes
            return False
        start += size
        if start >= file_size:
            return start > file_size and head[4:8] in _FRAME_BOXES
    return False


def _matroska_end(file: BinaryIO) -> int:
    """End of the segment in bytes; 0 if the file does not state it, as in a live recording."""
    file.seek(4)
    header = _read_size(file) or 0
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    size = _read_size(file)
    return 0 if size is None else file.tell() + size


def _read_size(file: BinaryIO) -> int | None:
    """A Matroska length; None = open. Leading zeros of its first byte give its size in bytes."""
    first = file.read(1)
    bits = 7 * (9 - first[0].bit_length()) if first and first[0] else 0
    value = int.from_bytes(first + file.read(max(bits // 7 - 1, 0)), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
