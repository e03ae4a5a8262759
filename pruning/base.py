"""The contract of a compression method. Read this first, then methods/fastv.py.

What a lane does with a method:
 1. `budget(n, layers)` converts its retention ratio to counts, or raises the smallest ratio.
    At the seam of pixels, the engine then resizes the upload to the grid nearest to the count.
 2. The adapter computes exactly the signals named in `needs`, so that times are comparable.
 3. `compress(visual, keep)` runs before the LLM, at the method's `seam`.
 4. `prune(view, keep)` runs just before each LLM layer that the budget names.
 5. `recall(view, keep)` runs in each decode step before the layer that `budget.reads` names.
 6. `positions` numbers the survivors for rotary embedding, before the LLM and inside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from pruning.budget import Budget, Target, before_llm
from pruning.errors import ExplainedError
from pruning.ops.grid import grid_of, smaller
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, StepView, TokenLayout, VisualTokens


class Seam(Enum):
    """The place where `compress` acts."""

    PIXELS = "pixels"  # on the upload, before the encoder, which gets a smaller picture
    ENCODED = "encoded"  # on encoder tokens, before the projector
    PROJECTED = "projected"  # on projected (and pooled) tokens, in LLM space


class PositionStrategy(Enum):
    """Numbering of survivors for rotary embedding (names of Nüwa, arXiv 2602.02951)."""

    PERC = "perc"  # contiguous ids; the text moves up
    PESP = "pesp"  # the sparse original ids; the text keeps its ids
    RPME = "rpme"  # ids stretched over the full original range (Algorithm 3, literally)
    RPME_AFFINE = "rpme_affine"  # ours: the same range, all gaps stretched in proportion


@dataclass(frozen=True)
class Positions:
    """The strategy before the LLM and inside it."""

    before: PositionStrategy = PositionStrategy.PESP
    inner: PositionStrategy = PositionStrategy.PESP


@dataclass(frozen=True)
class Needs:
    """The signals that the adapter computes for a method, and no others."""

    # of {"attention", "keys", "last_attention", "last_keys", "shallow_attention", "frames", "cls",
    # "text"}
    encoder: frozenset[str] = frozenset()
    encoder_span: tuple[float, float] | None = None  # hidden states: layers as shares of depth
    encoder_received: tuple[float, float] | None = None  # received attention, likewise
    llm_queries: str = "none"  # "none" | "last" | "last3" | "text": text rows as queries
    llm: frozenset[str] = frozenset()  # names of fields of LayerView after `layout`
    llm_rope: bool = True  # queries and keys with rotary embedding applied
    request: frozenset[str] = frozenset()  # of {"gaze", "events"}: not the model's, but the asker's


def knob(
    default: Any, low: Any = None, high: Any = None, *, choices: tuple[Any, ...] = (), help: str
) -> Any:
    """A field of a method that users can set: a number in [low, high], or one of `choices`."""
    return field(
        default=default, metadata={"low": low, "high": high, "choices": choices, "help": help}
    )


@dataclass(frozen=True)
class CompressionMethod:
    """Base class of all methods. A subclass is a frozen dataclass whose fields are its knobs."""

    name: ClassVar[str]  # "visionzip", as in commands
    title: ClassVar[str]  # "VisionZip", as displayed
    summary: ClassVar[str]  # one sentence for the method picker
    paper: ClassVar[str] = ""
    code: ClassVar[str] = ""
    seam: ClassVar[Seam] = Seam.ENCODED
    media: ClassVar[frozenset[str]] = frozenset({"image", "video"})
    needs_grid: ClassVar[bool] = False  # True: refuses a picture cut into crops, which has no grid
    published: ClassVar[Positions] = Positions()
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}}  # name -> knobs

    _: KW_ONLY
    numbering: str = knob(
        "published",
        choices=("published", *(strategy.value for strategy in PositionStrategy)),
        help="of survivors for rotary embedding: as published, or one strategy in both places",
    )

    def __post_init__(self) -> None:
        for knob_field in fields(self):
            value, limits = getattr(self, knob_field.name), knob_field.metadata
            low, high, choices = limits["low"], limits["high"], limits["choices"]
            label = f"{self.title}: {knob_field.name}"
            if choices and value not in choices:
                accepted = ", ".join(map(str, choices))
                raise ExplainedError(f"{label} is {value!r}, wanted one of {accepted}")
            kind = (int,) if isinstance(knob_field.default, int) else (int, float)
            if low is not None and not (isinstance(value, kind) and low <= value <= high):
                number = "a number" if float in kind else "a whole number"
                raise ExplainedError(f"{label} is {value!r}, wanted {number} from {low} to {high}")

    @property
    def label(self) -> str:
        """The title, with the preset unless it is the first: "Nüwa, paper"."""
        first, *_ = self.PRESETS
        return self.title if self.preset == first else f"{self.title}, {self.preset}"

    def title_of(self, budget: Budget) -> str:
        """The label of a run with this budget."""
        return self.label

    @property
    def typed(self) -> str:
        """The name, with the preset unless it is the first: "nuwa", "nuwa:paper"."""
        first, *_ = self.PRESETS
        return self.name if self.preset == first else f"{self.name}:{self.preset}"

    def name_at(self, place: str) -> str:
        """The name as a part of a composed method: "nuwa:paper.before"."""
        return f"{self.typed}.{place}"

    def label_at(self, place: str) -> str:
        """The label as a part of a composed method."""
        return f"{self.label} {place}"

    def _agreement(self, preset: str) -> int:
        other = type(self)(**self.PRESETS[preset])
        return sum(getattr(self, knob.name) == getattr(other, knob.name) for knob in fields(self))

    @property
    def preset(self) -> str:
        """The preset that agrees with most of the knobs."""
        return max(self.PRESETS, key=self._agreement)

    @property
    def knobs(self) -> dict[str, Any]:
        """Name -> value, for a record."""
        return asdict(self)

    @classmethod
    def acts(cls, place: str) -> bool:
        """Whether the method acts "before" the LLM, in its "inner" layers or in "decode"."""
        verb = {"before": "compress", "inner": "prune", "decode": "recall"}[place]
        return getattr(cls, verb) is not getattr(CompressionMethod, verb)

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def positions(self) -> Positions:
        if self.numbering == "published":
            return self.published
        strategy = PositionStrategy(self.numbering)
        return Positions(before=strategy, inner=strategy)

    def at(self, stage: int) -> CompressionMethod:
        """The method whose signals and positions an inner-LLM stage uses; by default itself."""
        return self

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        """Counts for N tokens and an LLM of `num_layers`; BudgetError if the ratio is too low."""
        return Budget(before=num_tokens)

    def budget_for(self, layout: TokenLayout, num_layers: int) -> Budget:
        """The budget for the tokens of a layout; a smaller picture has as many as its grid."""
        budget = self.budget(layout.num_placed, num_layers)
        if self.seam is not Seam.PIXELS:
            return budget
        return budget.entering(math.prod(smaller(grid_of(layout, self.title), budget.before)))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        """Compress the visual tokens to `keep` survivors before the LLM."""
        return TokenMap.identity(len(visual), visual.features.device)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        """Keep `keep` of the visual rows that are alive just before LLM layer `view.layer`."""
        return TokenMap.identity(len(view), view.anchors.device)

    def recall(self, view: StepView, keep: int) -> TokenMap:
        """Select the cached visual rows that layers from `view.layer` on read in a decode step.

        `keep` of them, or all. The caches do not change.
        """
        return TokenMap.identity(len(view), view.anchors.device)


@dataclass(frozen=True)
class BeforeLLM(CompressionMethod):
    """Base class of methods that act before the LLM only: the same count in every layer."""

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="share of visual tokens kept")

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        return before_llm(Target(self.title, num_tokens, num_layers, self.retention_ratio))
