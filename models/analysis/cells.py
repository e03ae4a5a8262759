"""The cells of a blocking table: the blocked attention edges and their LLM layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from models.engine.record import Cell

ROLES = {
    "visual": "visual tokens",
    "object": "the object's tokens",
    "text": "the question, without its last row",
    "last": "the last row of the prompt and the answer",
}
Edge = tuple[str, str]  # roles of the source, and of the target that it does not attend to
# A row attends to earlier rows only: visual tokens have no edges to the text after them.
TO_VISUAL: tuple[Edge, ...] = (("visual", "visual"), ("text", "visual"), ("last", "visual"))
TO_TEXT: tuple[Edge, ...] = (("text", "text"), ("last", "text"), ("last", "last"))
OF_OBJECT: tuple[Edge, ...] = (
    ("visual", "object"),
    ("text", "object"),
    ("last", "object"),
    ("object", "visual"),
)
EDGES = (*TO_VISUAL, *TO_TEXT, *OF_OBJECT)


def parse_edges(text: str) -> tuple[Edge, ...]:
    """Edges from "source-target,…"; raises a `ValueError` for an unknown one."""
    known, names = {"-".join(edge): edge for edge in EDGES}, text.split(",")
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"Edges are {', '.join(known)}; {wrong[0]!r} came.")
    return tuple(known[name] for name in names)


def cells_of(num_layers: int, size: int = 0, edges: Sequence[Edge] = TO_VISUAL) -> tuple[Cell, ...]:
    """Every edge in every quarter of the LLM's depth, or in every `size` layers in a row."""
    if not 0 <= size <= num_layers:
        raise ValueError(f"{size} layers in a row came; this LLM has {num_layers}.")
    ranges = windows(num_layers, size) if size else quarters(num_layers)
    return tuple(
        Cell(source, (each.start, each.stop), target) for source, target in edges for each in ranges
    )


def quarters(num_layers: int) -> list[range]:
    """Four ranges of layers of nearly equal size that cover all."""
    edges = [round(num_layers * part / 4) for part in range(5)]
    return [range(first, last) for first, last in pairwise(edges)]


def windows(num_layers: int, size: int) -> list[range]:
    """Every range of `size` layers in a row."""
    return [range(first, first + size) for first in range(num_layers - size + 1)]
