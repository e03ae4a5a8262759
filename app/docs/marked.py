"""Replaces the generated part of a page that is written by hand."""

from __future__ import annotations

from pathlib import Path


def with_part(path: Path, name: str, part: str) -> str:
    """The text of a page with a new part between the marks of that name.

    Raises:
        ValueError: A mark is missing.
    """
    begin, end = marks(name)
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    if not rest or not after:
        raise ValueError(f"{path.name} has no {begin.strip()} before {end.strip()}.")
    return f"{before}{begin}{part}\n{end}{after}"


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: by make docs -->\n", f"<!-- end of {name} -->\n"
