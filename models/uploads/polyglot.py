"""A file that is two things at once: a picture to one program, and something else to another.

Nothing here ever runs what is hidden in an upload. But an upload can be downloaded again, and what
opens it then may look for the other thing: a browser for a page, an archiver for an archive.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

LOOKED_AT = 1024  # first bytes: where a browser looks for markup, and a reader for a PDF
MARKUP = (b"<!doctype", b"<html", b"<script", b"<svg", b"<?php")


def second_nature(path: Path) -> str:
    """What the file is beside what its first bytes say, in words; "" where it is nothing else."""
    with path.open("rb") as file:
        head = file.read(LOOKED_AT).lower()
    if any(mark in head for mark in MARKUP):
        return "a web page"
    if b"%pdf-" in head:
        return "a PDF"
    return "an archive" if zipfile.is_zipfile(path) else ""
