"""The models that can be loaded, by name. Nothing heavy is imported before `load` is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.embedded import scope
from models.embedded.scope import Scope

if TYPE_CHECKING:
    from models.base import Adapter

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class ModelCard:
    """What a person should know of a model before choosing it."""

    name: str  # "embedded-image": what a person types
    title: str
    family: str  # which adapter
    source: str  # a folder of the checkout
    media: frozenset[str]  # of {"image", "video"}
    answers: tuple[str, ...]  # kinds of question it was trained for
    boxes: str  # how it writes a box
    grounding: str  # the same, by name: one of models.grounding.FORMATS
    frames: int = 1  # that it samples of a clip
    scope: Scope | None = None  # None: it was trained on questions of every kind

    def note_on(self, question: str) -> str:
        """What to tell a person who asks for more than it was trained on; else nothing."""
        return self.scope.note(self.title, question) if self.scope else ""


CATALOG = (
    ModelCard(
        name="embedded-image",
        title="Embedded LLaVA",
        family="llava",
        source="assets/embedded/image",
        media=frozenset({"image"}),
        answers=(
            "where something is",
            "whether it is there",
            "how many there are",
            "what colour it is",
            "what is on one side",
        ),
        boxes="[x1, y1, x2, y2], as fractions of the picture padded to a square",
        grounding="scene",
        scope=scope.PICTURES,
    ),
    ModelCard(
        name="embedded-video",
        title="Embedded LLaVA-OneVision",
        family="llava-onevision",
        source="assets/embedded/video",
        media=frozenset({"video"}),
        answers=(
            "which way something moves",
            "what appears last",
            "what happens first",
            "what colour something becomes",
            "how many enter",
            "where something is at the end",
        ),
        boxes="[x1, y1, x2, y2], as fractions of the last frame",
        grounding="clip",
        frames=8,
        scope=scope.CLIPS,
    ),
)


def find(name: str) -> ModelCard:
    """The card of a model, or the names there are."""
    for card in CATALOG:
        if card.name == name:
            return card
    raise ValueError(f"There is no model {name!r}; there is {', '.join(c.name for c in CATALOG)}.")


def load(name: str, device: str | None = None, dtype: str | None = None) -> Adapter:
    """The model, ready to run: by default in bfloat16 on CUDA, in float32 without it."""
    card = find(name)
    source = ROOT / card.source
    if not (source / "config.json").is_file() or not any(source.glob("*.safetensors")):
        raise ValueError(
            f"{card.title} has no weights in {card.source}; check them out, or see models/embedded."
        )
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or ("float32" if torch.device(device).type == "cpu" else "bfloat16")
    return {"llava": load_llava, "llava-onevision": load_onevision}[card.family](
        card, device, dtype
    )


def load_llava(card: ModelCard, device: str, dtype: str) -> Adapter:
    from transformers import LlavaForConditionalGeneration
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from models.grounding import FORMATS
    from models.llava import LlavaAdapter

    parts = LlavaForConditionalGeneration, CLIPImageProcessorPil
    loaded = from_folder(ROOT / card.source, parts, device, dtype)
    return LlavaAdapter(*loaded, grounding=FORMATS[card.grounding])


def load_onevision(card: ModelCard, device: str, dtype: str) -> Adapter:
    from transformers import LlavaOnevisionForConditionalGeneration
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
        LlavaOnevisionImageProcessorPil,
    )

    from models.grounding import FORMATS
    from models.llava_onevision import LlavaOnevisionAdapter

    parts = LlavaOnevisionForConditionalGeneration, LlavaOnevisionImageProcessorPil
    loaded = from_folder(ROOT / card.source, parts, device, dtype)
    return LlavaOnevisionAdapter(*loaded, card.media, grounding=FORMATS[card.grounding])


def from_folder(source: Path, parts: tuple[Any, Any], device: str, dtype: str) -> tuple[Any, ...]:
    """The model, its tokenizer and its image processor; `parts` are the classes of first and last.

    The Pillow processors are named outright: they give the same numbers on every machine.
    """
    from models.chat import load_tokenizer

    model, processor = parts
    # dtype= at load: a later .to(bfloat16) would round the rotary frequencies too.
    loaded = model.from_pretrained(
        source, dtype=dtype, attn_implementation="sdpa", local_files_only=True
    )
    return (
        loaded.to(device).eval().requires_grad_(False),
        load_tokenizer(source),
        processor.from_pretrained(source, local_files_only=True),
    )
