"""The cells of a blocking table: which rows lose sight of visual tokens, in which LLM layers."""

from __future__ import annotations

from itertools import pairwise

from models.engine.record import Cell

SOURCES = {
    "visual": "visual tokens",
    "text": "the question, without its last row",
    "last": "the last row of the prompt and the answer",
}


def cells_of(num_layers: int, size: int = 0, object_only: bool = False) -> tuple[Cell, ...]:
    """Every source in every quarter of the LLM's depth, or in every `size` layers in a row."""
    if not 0 <= size <= num_layers:
        raise ValueError(f"{size} layers in a row came; this LLM has {num_layers}.")
    ranges = windows(num_layers, size) if size else quarters(num_layers)
    return tuple(
        Cell(source, (each.start, each.stop), object_only) for source in SOURCES for each in ranges
    )


def quarters(num_layers: int) -> list[range]:
    """Four ranges of layers that cover all, as equal as they can be."""
    edges = [round(num_layers * part / 4) for part in range(5)]
    return [range(first, last) for first, last in pairwise(edges)]


def windows(num_layers: int, size: int) -> list[range]:
    """Every range of `size` layers in a row."""
    return [range(first, first + size) for first in range(num_layers - size + 1)]
