"""No compression: the lane that every other one is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import CompressionMethod


@dataclass(frozen=True)
class Vanilla(CompressionMethod):
    """Change nothing: the whole of what the model sees, and of what it costs.

    Paper      none
    Code       none
    Where      nowhere
    Positions  as the model numbers them
    Differs    in nothing: logits and answers are those of `model.generate`
    """

    name = "vanilla"
    title = "Vanilla"
    summary = "The model as it is: every visual token, through every layer."
