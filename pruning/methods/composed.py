"""Composed methods: the before-LLM part of one method and the inner-LLM part of another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pruning.base import CompressionMethod, Needs, Positions, Seam, knob
from pruning.budget import Budget, BudgetError, Target, before_llm
from pruning.errors import ExplainedError
from pruning.methods.mixed import inside
from pruning.methods.vanilla import Vanilla
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens

NOTHING, PLACES = Vanilla(), {"before": "before-LLM", "inner": "inner-LLM"}  # where a part acts


@dataclass(frozen=True)
class Composed(CompressionMethod):
    """Compress before the LLM with one method, then prune inside the LLM with another.

    `compress` needs only signals of the encoder and `prune` only those of the LLM, so any two parts
    fit. A part keeps the knobs of its method, except the ratio.

    Where      before the LLM at the seam of `before`, then before the pruning layers of `inner`
    Positions  as published for each part, or one strategy in both places
    Differs    `before` keeps the most tokens for which `inner` can still meet the average within
               `stage_ratio`; the stages of `inner` keep their proportions. If pruning so few
               tokens would miss the average, all stay to the end
    """

    title = "Composed"
    summary = "One method before the LLM and another inside it."

    before: CompressionMethod = knob(NOTHING, help="acts before the LLM")  # noqa: RUF009
    inner: CompressionMethod = knob(NOTHING, help="acts inside the LLM")  # noqa: RUF009
    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    stage_ratio: float = knob(3.0, 1.0, 16.0, help="most survivors at first per one at last")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise ExplainedError("A composed method wants a before-LLM or an inner-LLM part.")
        for place, method in self.parts.items():
            if not method.acts(place):
                raise ExplainedError(f"{method.title} has no {PLACES[place]} part.")

    @property
    def parts(self) -> dict[str, CompressionMethod]:
        both = {"before": self.before, "inner": self.inner}
        return {place: method for place, method in both.items() if method != NOTHING}

    # Class attributes in other methods; here they follow from the parts.
    @property
    def name(self) -> str:  # type: ignore[override]
        words = [method.name_at(place) for place, method in self.parts.items()]
        return "+".join(words if self.numbering == "published" else [*words, self.numbering])

    @property
    def label(self) -> str:
        """As displayed: "Nüwa paper before + FastV inside, RPME"."""
        words = [part.label_at(place) for place, part in self.parts.items()]
        strategy, _, variant = self.numbering.partition("_")
        numbered = "" if strategy == "published" else f", {strategy.upper()} {variant}".rstrip()
        return " + ".join(words).replace(",", "").replace(" inner", " inside") + numbered

    def title_of(self, budget: Budget) -> str:
        idle = self.inner != NOTHING and not budget.inner
        return f"{self.label} (nothing left to drop inside)" if idle else self.label

    @property
    def seam(self) -> Seam:  # type: ignore[override]
        return self.before.seam

    @property
    def media(self) -> frozenset[str]:  # type: ignore[override]
        return self.before.media & self.inner.media

    @property
    def needs_grid(self) -> bool:  # type: ignore[override]
        return self.before.needs_grid or self.inner.needs_grid

    @property
    def knobs(self) -> dict[str, Any]:
        parts = {place: dict(method.knobs) for place, method in self.parts.items()}
        for part in parts.values():
            del part["retention_ratio"]  # has no effect
        own = {name: value for name, value in super().knobs.items() if name not in PLACES}
        return own | parts

    @property
    def needs(self) -> Needs:
        encoder = self.before.needs
        return replace(
            self.inner.needs,
            encoder=encoder.encoder,
            encoder_span=encoder.encoder_span,
            encoder_received=encoder.encoder_received,
            request=encoder.request,
        )

    @property
    def positions(self) -> Positions:
        if self.numbering == "published":
            return Positions(self.before.positions.before, self.inner.positions.inner)
        return super().positions

    def at(self, stage: int) -> CompressionMethod:
        method = self.inner.at(stage)
        own = self.numbering == "published"
        return method if own else replace(method, numbering=self.numbering)

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        """The most tokens before the LLM that `stage_ratio` and the average allow."""
        if self.before == NOTHING:
            return inside(self.inner, num_tokens, num_layers, self.retention_ratio)
        best = before_llm(Target(self.before.title, num_tokens, num_layers, self.retention_ratio))
        low, high = best.before, num_tokens
        while low < high and self.inner != NOTHING:
            entering = (low + high + 1) // 2
            if (stages := self.stages(entering, num_tokens, num_layers)) is None:
                high = entering - 1
            else:
                low, best = entering, stages
        return best

    def stages(self, entering: int, num_tokens: int, num_layers: int) -> Budget | None:
        """The budget that meets the average with `entering` tokens at the first layer, if any."""
        ratio = min(1.0, self.retention_ratio * num_tokens / entering)
        try:
            stages = inside(self.inner, entering, num_layers, ratio)
        except BudgetError:
            return None
        *_, last = stages.per_layer(num_layers)
        return stages if entering <= self.stage_ratio * last else None

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        return self.before.compress(visual, keep)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        return self.inner.prune(view, keep)
