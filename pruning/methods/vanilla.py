"""No compression: the reference of every comparison."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import CompressionMethod


@dataclass(frozen=True)
class Vanilla(CompressionMethod):
    """Keep all visual tokens in every layer.

    Paper      none
    Code       none
    Where      nowhere
    Positions  as the model numbers them
    Differs    not: logits and answers are those of `model.generate`
    """

    name = "vanilla"
    title = "Vanilla"
    summary = "The unchanged model: all visual tokens in every layer."
