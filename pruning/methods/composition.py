"""Names of composed methods, such as "nuwa:paper.before+dart.inner@2+fastv.inner@12+rpme"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pruning.base import CompressionMethod, PositionStrategy
from pruning.errors import ExplainedError
from pruning.methods.composed import PLACES
from pruning.methods.mixed import Mixed

STRATEGIES = [strategy.value for strategy in PositionStrategy]
Create = Callable[[str, str], CompressionMethod]  # of the name of a method and its place


def is_composed(name: str) -> bool:
    """Whether a name is composed of parts."""
    return "+" in name or name.rpartition(".")[2].partition("@")[0] in PLACES


def parts_of(name: str, create: Create) -> dict[str, Any]:
    """The knobs of `Composed` for a name; its parts may come in any order."""
    knobs: dict[str, Any] = {}
    stages: dict[int, CompressionMethod] = {}
    for word in map(str.strip, name.split("+")):
        knob, value, layer = part_of(word, create)
        if layer:
            if layer in stages:
                raise ExplainedError(
                    f"Two parts at layer {layer} came in {quoted(name)}, wanted one."
                )
            stages[layer] = value
        elif knob in knobs:
            kind = f"{PLACES[knob]} parts" if knob in PLACES else "position strategies"
            raise ExplainedError(f"Two {kind} came in {quoted(name)}, wanted one.")
        else:
            knobs[knob] = value
    if not stages:
        return knobs
    if "inner" in knobs:
        raise ExplainedError(
            f"In {quoted(name)}, name a layer for every inner-LLM part, or for none."
        )
    return {**knobs, "inner": Mixed(tuple(sorted(stages.items())))}


def part_of(word: str, create: Create) -> tuple[str, Any, int]:
    """A knob of `Composed`, its value and its layer (0: none named), for one part of a name."""
    if word in STRATEGIES:
        return "numbering", word, 0
    method, _, place = word.rpartition(".")
    place, at, layer = place.partition("@")
    if place not in PLACES or (at and not (place == "inner" and layer.isdecimal() and int(layer))):
        raise ExplainedError(
            f"Unknown part {quoted(word)}. Wanted a method's, such as nuwa.before or "
            f"fastv.inner@2, or positions: {', '.join(STRATEGIES)}."
        )
    return place, create(method, place), int(layer or 0)


def quoted(name: str) -> str:
    return repr(name[:80])
