"""Text about the knobs of a method and their presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pruning.base import CompressionMethod


@dataclass(frozen=True)
class Knob:
    """A knob as text."""

    name: str
    default: str
    limits: str  # "0.01 to 1", or the choices
    meaning: str


def knobs(method: type[CompressionMethod]) -> tuple[Knob, ...]:
    """The knobs of a method that are not common to all methods."""
    common = {knob.name for knob in fields(CompressionMethod)}
    return tuple(
        Knob(knob.name, _value(knob.default), _limits(knob.metadata), knob.metadata["help"])
        for knob in fields(method)
        if knob.name not in common
    )


def presets(method: type[CompressionMethod]) -> str:
    """The presets and the knobs that they set; empty for a method with one preset."""
    texts = []
    for name, values in method.PRESETS.items():
        text = ", ".join(f"`{knob}` {_value(value)}" for knob, value in values.items())
        texts.append(f"`{method.name}:{name}`: {text or 'every knob at its default'}")
    return "; ".join(texts) if len(texts) > 1 else ""


def _limits(limits: Mapping[str, Any]) -> str:
    if limits["choices"]:
        return ", ".join(_value(choice) for choice in limits["choices"])
    return f"{_value(limits['low'])} to {_value(limits['high'])}"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
