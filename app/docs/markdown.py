"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table with a line of heads; a cell may hold a bar."""
    cells = [head, ["---"] * len(head), *lines]
    rows = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in cells]
    return "\n".join(f"| {row} |" for row in rows)
