"""The knobs that are a method's own, and the presets that turn them, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pruning.base import CompressionMethod


@dataclass(frozen=True)
class Knob:
    """What a person may turn: all of it in words."""

    name: str
    default: str
    limits: str  # "0.01 to 1", or the choices there are
    meaning: str


def knobs(method: type[CompressionMethod]) -> tuple[Knob, ...]:
    """Those that not every method has."""
    common = {knob.name for knob in fields(CompressionMethod)}
    return tuple(
        Knob(knob.name, _value(knob.default), _limits(knob.metadata), knob.metadata["help"])
        for knob in fields(method)
        if knob.name not in common
    )


def presets(method: type[CompressionMethod]) -> str:
    """Which there are, and the knobs that each turns; nothing of a method with a single one."""
    told = []
    for name, turned in method.PRESETS.items():
        values = ", ".join(f"`{knob}` {_value(value)}" for knob, value in turned.items())
        told.append(f"`{method.name}:{name}`: {values or 'every knob at its default'}")
    return "; ".join(told) if len(told) > 1 else ""


def _limits(limits: Mapping[str, Any]) -> str:
    if limits["choices"]:
        return ", ".join(_value(choice) for choice in limits["choices"])
    return f"{_value(limits['low'])} to {_value(limits['high'])}"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
