"""The contract of a compression method. Read this first, then methods/fastv.py.

A method's life in one lane:
 1. `budget(n, layers)` turns its retention ratio into counts, or refuses with the smallest ratio.
 2. The adapter computes exactly the signals named in `needs`, so that times are fair.
 3. `compress(visual, keep)` runs before the LLM, at the method's `seam`.
 4. `prune(view, keep)` runs just before each LLM layer that the budget names.
 5. `positions` says how the survivors are numbered for rotary embedding, in both places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from pruning.budget import Budget, Target, before_llm
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens


class Seam(Enum):
    """Where `compress` acts."""

    ENCODED = "encoded"  # on encoder tokens, before the projector
    PROJECTED = "projected"  # on projected (and pooled) tokens, in LLM space


class PositionStrategy(Enum):
    """How survivors are numbered for rotary embedding (Nüwa, arXiv 2602.02951, names)."""

    PERC = "perc"  # re-index contiguously; the text moves up
    PESP = "pesp"  # keep the sparse original ids; the text stays where it was
    RPME = "rpme"  # stretch the ids over the full original range (Algorithm 3, literal)
    RPME_AFFINE = "rpme_affine"  # ours: the same range, but every gap stretched alike


@dataclass(frozen=True)
class Positions:
    """The strategy before the LLM and inside it."""

    before: PositionStrategy = PositionStrategy.PESP
    inner: PositionStrategy = PositionStrategy.PESP


@dataclass(frozen=True)
class Needs:
    """What the adapter must compute for a method, and nothing else."""

    # of {"attention", "keys", "last_attention", "last_keys", "frames", "cls", "text"}
    encoder: frozenset[str] = frozenset()
    encoder_span: tuple[float, float] | None = None  # hidden states, as shares of encoder depth
    encoder_received: tuple[float, float] | None = None  # layers whose received attention, likewise
    llm_queries: str = "none"  # "none" | "last" | "last3" | "text": rows whose attention scores
    llm: frozenset[str] = frozenset()  # fields of LayerView after `layout`, by name
    llm_rope: bool = True  # queries and keys with rotary embedding applied


def knob(
    default: Any, low: Any = None, high: Any = None, *, choices: tuple[Any, ...] = (), help: str
) -> Any:
    """A field of a method that a person may turn: a number in [low, high], or one of `choices`."""
    return field(
        default=default, metadata={"low": low, "high": high, "choices": choices, "help": help}
    )


@dataclass(frozen=True)
class CompressionMethod:
    """Base of every method. A subclass is a frozen dataclass whose fields are its knobs."""

    name: ClassVar[str]  # "visionzip": what a person types
    title: ClassVar[str]  # "VisionZip": what a person reads
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
                wanted = ", ".join(map(str, choices))
                raise ValueError(f"{label} is {value!r}, wanted one of {wanted}")
            kind = (int,) if isinstance(knob_field.default, int) else (int, float)
            if low is not None and not (isinstance(value, kind) and low <= value <= high):
                number = "a number" if float in kind else "a whole number"
                raise ValueError(f"{label} is {value!r}, wanted {number} from {low} to {high}")

    @property
    def label(self) -> str:
        """The title, and the nearest preset where that is not the first: "Nüwa, paper"."""
        first, *_ = self.PRESETS
        return self.title if self.preset == first else f"{self.title}, {self.preset}"

    def title_of(self, budget: Budget) -> str:
        """The label of a run with these counts."""
        return self.label

    @property
    def typed(self) -> str:
        """The name likewise: "nuwa", "nuwa:paper"."""
        first, *_ = self.PRESETS
        return self.name if self.preset == first else f"{self.name}:{self.preset}"

    def _agreement(self, preset: str) -> int:
        made = type(self)(**self.PRESETS[preset])
        return sum(getattr(self, knob.name) == getattr(made, knob.name) for knob in fields(self))

    @property
    def preset(self) -> str:
        """The nearest preset."""
        return max(self.PRESETS, key=self._agreement)

    @property
    def knobs(self) -> dict[str, Any]:
        """What was set, as a record keeps it."""
        return asdict(self)

    @classmethod
    def acts(cls, place: str) -> bool:
        """Whether the method does anything "before" the LLM, or in its "inner" layers."""
        verb = {"before": "compress", "inner": "prune"}[place]
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

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        """Counts for N tokens and an LLM of `num_layers`; `BudgetError` below what it can do."""
        return Budget(before=num_tokens)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        """Make `keep` survivors out of the visual tokens before the LLM."""
        return TokenMap.identity(len(visual), visual.features.device)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        """Keep `keep` of the visual rows alive just before LLM layer `view.layer`."""
        return TokenMap.identity(len(view), view.anchors.device)


@dataclass(frozen=True)
class BeforeLLM(CompressionMethod):
    """Base of the methods that compress before the LLM alone: as many tokens in every layer."""

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="share of visual tokens kept")

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        return before_llm(Target(self.title, num_tokens, num_layers, self.retention_ratio))
