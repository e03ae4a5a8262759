"""No compression: the lane that every other one is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import CompressionMethod


@dataclass(frozen=True)
class Vanilla(CompressionMethod):
    """Every visual token, through every layer."""

    name = "vanilla"
    title = "Vanilla"
    summary = "The model as it is: every visual token, through every layer."
