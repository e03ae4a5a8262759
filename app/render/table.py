"""Prints tables from rows of text: fixed-width for a terminal, Markdown for a page.

A row shorter than the head ends in a note, such as why a method is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """Columns two spaces apart, as wide as their cells; a note does not widen its column.

    With `numbers`, all columns but the first are right-aligned.
    """
    lines = [head, *rows]
    full = [line for line in lines if len(line) == len(head)]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]

    def align(line: Sequence[str], index: int) -> str:
        note = index + 1 == len(line) < len(head)
        right = numbers and index > 0 and not note
        return line[index].rjust(widths[index]) if right else line[index].ljust(widths[index])

    return "\n".join(
        "  ".join(align(line, index) for index in range(len(line))).rstrip() for line in lines
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; empty cells follow a note. A cell may hold a bar."""
    lines = [head, ["---"] * len(head), *rows]
    filled = [[*line, *[""] * (len(head) - len(line))] for line in lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in filled
    )
