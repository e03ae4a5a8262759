"""The models that can be chosen, by name, and what to know of each. Nothing heavy is imported.

The list is closed on purpose: no repository is loaded because somebody typed its name. How a card
becomes a model is in models/loading.py, where its weights lie in models/weights.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.embedded.world import scope
from models.embedded.world.scope import Scope

RANDOM = "@random"  # after a name: the same shape without its weights
SEE = "see the repository"


@dataclass(frozen=True)
class ModelCard:
    """What a person should know of a model before choosing it."""

    name: str  # "embedded-image": what a person types
    title: str
    family: str  # which adapter
    source: str  # a repository of the hub, or a folder of the checkout
    media: frozenset[str]  # of {"image", "video"}
    grounding: str  # how it is asked for a box and writes one: see models/grounding.py
    tokens: int  # visual tokens of its largest picture, or of a clip of `frames`
    each: int | None = None  # of every picture, or of every frame; None: it depends on their sizes
    revision: str = ""  # of the repository; "" for a folder
    licence: str = SEE  # of the weights
    frames: int = 1  # that it samples of a clip
    answers: tuple[str, ...] = ()  # kinds of question it was trained for; none: questions of all
    scope: Scope | None = None  # None: it was trained on questions of every kind
    gated: bool = False  # the hub asks for consent before it hands the weights out
    random: bool = False  # built with random weights, for timing
    guide: str = ""  # the model, by name, that tells SGL what matters; "" = itself

    def note_on(self, question: str) -> str:
        """What to tell a person of the answer they will get, where that is not what it seems."""
        if self.random:
            return f"{self.title}: its answers are noise, and only its times and sizes count."
        return self.scope.note(self.title, question) if self.scope else ""


EMBEDDED = (
    ModelCard(
        name="embedded-image",
        title="Embedded LLaVA",
        family="llava",
        source="assets/embedded/image",
        media=frozenset({"image"}),
        grounding="scene",
        tokens=144,
        each=144,
        licence="Apache-2.0",
        answers=(
            "where something is",
            "whether it is there",
            "how many there are",
            "what colour it is",
            "what is on one side",
        ),
        scope=scope.PICTURES,
    ),
    ModelCard(
        name="embedded-video",
        title="Embedded LLaVA-OneVision",
        family="llava-onevision",
        source="assets/embedded/video",
        media=frozenset({"video"}),
        grounding="clip",
        tokens=288,
        each=36,
        licence="Apache-2.0",
        frames=8,
        answers=(
            "which way something moves",
            "what appears last",
            "what happens first",
            "what colour something becomes",
            "how many enter",
            "where something is at the end",
        ),
        scope=scope.CLIPS,
    ),
)

LLAVA = tuple(
    ModelCard(
        name=f"llava-1.5-{size}",
        title=f"LLaVA-1.5 {size.upper()}",
        family="llava",
        source=f"llava-hf/llava-1.5-{size}-hf",
        revision="main",
        media=frozenset({"image"}),
        grounding="padded",
        tokens=576,
        each=576,
        licence="Llama 2 Community License",
        guide=guide,
    )
    for size, guide in (("7b", ""), ("13b", "llava-1.5-7b"))
)

ONEVISION = tuple(
    ModelCard(
        name=f"llava-onevision-{size}",
        title=f"LLaVA-OneVision {size.upper()}",
        family="llava-onevision",
        source=f"llava-hf/llava-onevision-qwen2-{size}-ov-hf",
        revision="main",
        media=frozenset({"image", "video"}),
        grounding="plain",
        tokens=8829,
        licence="Apache-2.0",
        frames=32,
        guide=guide,
    )
    for size, guide in (("0.5b", ""), ("7b", "llava-onevision-0.5b"))
)

LLAVA_VIDEO = (
    ModelCard(
        name="llava-video-7b",
        title="LLaVA-Video 7B",
        family="llava-video",
        source="lmms-lab/LLaVA-Video-7B-Qwen2",
        revision="main",
        media=frozenset({"video"}),
        grounding="plain",
        tokens=13440,
        licence="Apache-2.0",
        frames=64,
    ),
)

QWEN_2_5 = tuple(
    ModelCard(
        name=f"qwen2.5-vl-{size}",
        title=f"Qwen2.5-VL {size.upper()}",
        family="qwen2.5-vl",
        source=f"Qwen/Qwen2.5-VL-{size.upper()}-Instruct",
        revision="main",
        media=frozenset({"image", "video"}),
        grounding="pixels",
        tokens=16384,
        licence=licence,
        frames=32,
        guide=guide,
    )
    for size, licence, guide in (
        ("3b", "Qwen Research License", ""),
        ("7b", "Apache-2.0", "qwen2.5-vl-3b"),
    )
)

QWEN_3 = (
    ModelCard(
        name="qwen3-vl-8b",
        title="Qwen3-VL 8B",
        family="qwen3-vl",
        source="Qwen/Qwen3-VL-8B-Instruct",
        revision="main",
        media=frozenset({"image"}),
        grounding="thousand",
        tokens=16384,
        licence="Apache-2.0",
    ),
)

CATALOG: tuple[ModelCard, ...] = (
    *EMBEDDED,
    *LLAVA,
    *ONEVISION,
    *LLAVA_VIDEO,
    *QWEN_2_5,
    *QWEN_3,
)


def find(name: str) -> ModelCard:
    """The card of a model, or the names there are; after `RANDOM`, of its shape without weights."""
    plain = str(name).removesuffix(RANDOM)
    for card in CATALOG:
        if card.name == plain:
            return card if name == plain else without_weights(card)
    raise ValueError(f"There is no model {name!r}; there is {', '.join(c.name for c in CATALOG)}.")


def without_weights(card: ModelCard) -> ModelCard:
    """The card of the same shape with random weights."""
    if not card.revision:
        raise ValueError(f"{card.title} ships with its weights; ask for {card.name} itself.")
    return replace(
        card, name=f"{card.name}{RANDOM}", title=f"{card.title} (random weights)", random=True
    )
