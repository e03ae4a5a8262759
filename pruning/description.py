"""Parses the docstring of a method into the parts that the docs and the page publish."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import cleandoc

from pruning.base import CompressionMethod

SECTIONS = ("Paper", "Code", "Where", "Positions", "Differs")
HEAD = re.compile(rf"({'|'.join(SECTIONS)}) {{2,}}(\S.*)")


@dataclass(frozen=True)
class Description:
    """The parts of a docstring, without line breaks."""

    idea: str  # the first line
    more: str  # the text between it and the sections
    paper: str
    code: str
    where: str
    positions: str
    differs: str


def describe(method: type[CompressionMethod]) -> Description:
    """Parse the docstring of a method. Raises ValueError if a section is missing."""
    idea, *lines = cleandoc(method.__doc__ or "").splitlines() or [""]
    parts: dict[str, list[str]] = {"more": []}
    part = "more"
    for line in lines:
        if head := HEAD.fullmatch(line):
            part, line = head[1].lower(), head[2]
        parts.setdefault(part, []).append(line.strip())
    if missing := [name for name in SECTIONS if name.lower() not in parts]:
        raise ValueError(f"The docstring of {method.__name__} has no {', '.join(missing)}.")
    return Description(idea, **{name: " ".join(words).strip() for name, words in parts.items()})
