"""Mixtures: prune at several layers of the LLM, at each by another method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, before_llm, scaled_layers, staged, staged_by_share
from pruning.errors import ExplainedError
from pruning.token_map import TokenMap
from pruning.tokens import LayerView

Stage = tuple[int, CompressionMethod]
DEEPEST = 31  # of the layers of a 32-layer LLM


@dataclass(frozen=True)
class Mixed(CompressionMethod):
    """At each of several LLM layers, keep the same share of the tokens, chosen by another method.

    Paper      UniPruneBench mixes methods by layer
    Code       none
    Where      inside the LLM, by the signals of each stage's own method
    Positions  as published for each stage
    Differs    only the choice of each method is used: its own layers and proportions are not. No
               cache is trimmed. A shallow LLM loses the last stages
    """

    title = "Mixed"
    summary = "Prunes at several layers of the LLM, at each by another method."

    stages: tuple[Stage, ...] = knob((), help="pruning layers, in a 32-layer LLM, and methods")
    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")

    def __post_init__(self) -> None:
        super().__post_init__()
        layers = [layer for layer, _ in self.stages]
        if layers != sorted(set(layers)) or not all(1 <= layer <= DEEPEST for layer in layers):
            came = ", ".join(map(str, layers))
            raise ExplainedError(
                f"The pruning layers are {came}, wanted different ones from 1 to {DEEPEST} (of 32)."
            )
        for _, method in self.stages:
            if not method.acts("inner"):
                raise ExplainedError(f"{method.title} has no inner-LLM part.")

    # Class attributes in other methods; here they follow from the stages.
    @property
    def media(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset.intersection(*(method.media for _, method in self.stages))

    @property
    def needs_grid(self) -> bool:  # type: ignore[override]
        return any(method.needs_grid for _, method in self.stages)

    def name_at(self, place: str) -> str:
        return "+".join(f"{method.typed}.{place}@{layer}" for layer, method in self.stages)

    def label_at(self, place: str) -> str:
        return " + ".join(f"{method.label} {place} at {layer}" for layer, method in self.stages)

    @property
    def knobs(self) -> dict[str, Any]:
        stages = {}
        for layer, method in self.stages:
            stages[f"{method.name}@{layer}"] = dict(method.knobs)
            del stages[f"{method.name}@{layer}"]["retention_ratio"]  # has no effect
        return {"numbering": self.numbering, "retention_ratio": self.retention_ratio, **stages}

    @property
    def needs(self) -> Needs:
        """All signals of the LLM that any stage needs; each stage is given its own."""
        signals = (method.needs.llm for _, method in self.stages)
        return Needs(llm=reduce(frozenset.union, signals))

    def at(self, stage: int) -> CompressionMethod:
        return self.stages[stage][1]

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        layers = scaled_layers([layer for layer, _ in self.stages], num_layers)

        def pyramid(share: float) -> list[float]:
            return [num_tokens * share**stage for stage in range(1, len(layers) + 1)]

        target = Target(self.label_at("inside"), num_tokens, num_layers, self.retention_ratio)
        return staged_by_share(target, layers, pyramid)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        method = self.at(view.stage)
        earlier = [other.name for _, other in self.stages[: view.stage]]
        return method.prune(replace(view, stage=earlier.count(method.name)), keep)


def inside(method: CompressionMethod, num_tokens: int, num_layers: int, ratio: float) -> Budget:
    """The budget of the pruning layers of a method alone, if all `num_tokens` enter the LLM."""
    both = method.acts("before")  # if so, only the layers and proportions of its budget are used
    reachable = max(ratio, 1 / num_tokens) if both else ratio
    own = replace(method, retention_ratio=reachable)  # type: ignore[call-arg]
    budget = own.budget(num_tokens, num_layers)
    if not both:
        return budget
    target = Target(method.title, num_tokens, num_layers, ratio)
    if not budget.inner:  # all tokens stay, or there is only one
        return before_llm(target)
    layers, counts = zip(*budget.inner, strict=True)
    return replace(staged(target, layers, counts), trims_from=budget.trims_from)
