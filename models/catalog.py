"""The list of models. Imports nothing heavy.

A visitor's request can name only models in this list. The person who starts the program may name
others: models/unlisted.py makes their cards. models/loading.py loads the model of a card,
models/weights.py finds its files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.embedded.world import scope
from models.embedded.world.scope import Scope
from pruning.errors import ExplainedError

FOREIGN = (
    "The tokens are real; do not trust the answers. For answers, run LLaVA or Qwen.\n"
    "This upload was not drawn by this project, and the model knows only its drawings. The tokens "
    "show what each method does to the upload. To run LLaVA on your machine: "
    "python -m app fetch llava-1.5-7b, then TOKENSCOPE_MODEL=llava-1.5-7b make demo."
)
RANDOM = "@random"  # suffix of a name: the same shape with random weights
INT4 = ":int4"  # suffix of a name: the same weights, the LLM's layers read in 4 bits


@dataclass(frozen=True)
class ModelCard:
    """Facts about a model that are known without loading it."""

    name: str  # such as "embedded-image", in requests and on the command line
    title: str
    family: str  # key of models.recipes.FAMILIES
    source: str  # a repository of the hub, or a folder of the checkout
    media: frozenset[str]  # of {"image", "video"}
    grounding: str  # key of models.grounding.FORMATS
    tokens: int  # visual tokens of the largest picture, or of a clip of `frames`
    each: int | None = None  # visual tokens per picture or frame; None if it depends on the size
    revision: str = ""  # of the repository; "" for a folder
    licence: str = "see the repository"  # of the weights
    frames: int = 1  # sampled from a clip
    answers: tuple[str, ...] = ()  # kinds of question in the training; () = any
    scope: Scope | None = None  # words and questions of the training; None = any
    gated: bool = False  # the hub requires consent to its terms before a download
    adopted: bool = False  # not in the list: see models/unlisted.py
    random: bool = False  # built with random weights, for timing
    int4: bool = False  # layers of the LLM in 4 bits: see models/checkpoints/int4.py
    axes: int = 1  # of position ids: 3 for M-RoPE
    guide: str = ""  # name of the guide model for SGL; "" = the model itself

    @property
    def ships(self) -> bool:
        """Whether the project ships the weights."""
        return self.source.startswith("assets/")

    def note_on(self, question: str, drawn: bool = True) -> str:
        """What to know about the answers, then details, one a line; "" if all is as trained.

        Args:
            question: About the upload.
            drawn: Whether this project has drawn the upload; the embedded models know no other.
        """
        if self.random:
            return f"{self.title}: its answers are noise; only times and sizes are meaningful."
        if self.scope is None:
            return ""
        note = self.scope.note(self.title, question)
        return note if drawn else f"{FOREIGN}\n{note}".rstrip()


EMBEDDED = (
    ModelCard(
        name="embedded-image",
        title="Drawn-scenes model",
        family="llava",
        source="assets/embedded/image",
        media=frozenset({"image"}),
        grounding="scene",
        tokens=576,
        each=576,
        licence="Apache-2.0",
        answers=(
            "where something is",
            "whether it is there",
            "how many there are",
            "what colour it is",
            "what is on one side or beside something",
            "what a sign says",
            "what the background is",
        ),
        scope=scope.PICTURES,
    ),
    ModelCard(
        name="embedded-video",
        title="Drawn-clips model",
        family="llava-onevision",
        source="assets/embedded/video",
        media=frozenset({"video"}),
        grounding="clip",
        tokens=1024,
        each=64,
        licence="Apache-2.0",
        frames=16,
        answers=(
            "which way something moves",
            "what appears last",
            "what happens first, before or after something",
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
        axes=3,
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
        media=frozenset({"image", "video"}),
        grounding="thousand",
        tokens=16384,
        frames=32,
        axes=3,
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

ADOPTED: dict[str, ModelCard] = {}  # by name: `register` adds to it


def register(card: ModelCard) -> ModelCard:
    """Adds a card that is not in the list; `find` knows it from now on in this process."""
    ADOPTED[card.name] = replace(card, adopted=True)
    return ADOPTED[card.name]


def find(name: str) -> ModelCard:
    """The card of a name or a repository, with the suffix `RANDOM` or `INT4` as asked.

    Raises `ExplainedError` for an unknown name.
    """
    if str(name).endswith(INT4):
        return in_4_bits(find(name.removesuffix(INT4)))
    plain = str(name).removesuffix(RANDOM)
    for card in (*CATALOG, *ADOPTED.values()):
        if plain in (card.name, card.source):
            return card if name == plain else without_weights(card)
    names = ", ".join(card.name for card in CATALOG)
    raise ExplainedError(f"There is no model {name!r}; choose from {names}.")


def without_weights(card: ModelCard) -> ModelCard:
    """The card of the same shape with random weights."""
    if not card.revision or card.adopted:
        raise ExplainedError(f"{card.title} comes with its weights; choose {card.name} itself.")
    return replace(
        card, name=f"{card.name}{RANDOM}", title=f"{card.title} (random weights)", random=True
    )


def in_4_bits(card: ModelCard) -> ModelCard:
    """The card of the same weights, read in 4 bits."""
    if card.random or card.ships:
        raise ExplainedError(f"{card.title} has no 4-bit variant; choose {card.name} itself.")
    guide = card.guide and card.guide + INT4
    name, title = f"{card.name}{INT4}", f"{card.title} (int4)"
    return replace(card, name=name, title=title, guide=guide, int4=True)
