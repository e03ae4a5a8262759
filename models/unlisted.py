"""Makes the card of a model that is not in the list: a local folder, or `org/name` of a repository.

Family, uploads and shape come from its config.json. Only the person who starts the program names
such a model; a visitor's request can name it after that, and no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.catalog import INT4, ModelCard, find, register
from models.checkpoints.layers import check_layers
from models.weights import find_in_cache
from pruning.errors import ExplainedError

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
BOTH = frozenset({"image", "video"})
CROP_EXCESS = 1.1**2  # OneVision scales the raster of crops down above this share of its limit


@dataclass(frozen=True)
class Traits:
    """What all models of an architecture have in common."""

    family: str
    media: frozenset[str]
    grounding: str
    tokens: Callable[[Any], int]  # config -> visual tokens of the largest picture or clip
    frames: int = 1
    fixed: bool = False  # every picture has as many tokens


def adopt(name: str) -> ModelCard:
    """The card of a listed name, of a folder or of a repository whose files are here.

    Raises `ExplainedError` with one sentence for an unknown name, another family or a missing file.
    """
    try:
        return find(name)
    except ValueError as error:
        unknown = error
    card = bare_card(name)
    if card is None:
        raise ExplainedError(
            f"{unknown} A folder with a config.json, or org/name, is one too."
        ) from None
    folder = find_in_cache(card) if card.revision else Path(card.source)
    complete(card, folder / "config.json")
    return find(name)


def bare_card(name: str) -> ModelCard | None:
    """The card of a folder or a repository before its config is read; None for any other name."""
    name = name.removesuffix(INT4)
    folder = Path(name).expanduser()
    local = (folder / "config.json").is_file()
    if not local and not REPOSITORY.fullmatch(name):
        return None
    return ModelCard(
        name=name,
        title=folder.resolve().name,
        family="",
        source=str(folder.resolve()) if local else name,
        revision="" if local else "main",
        media=BOTH,
        grounding="plain",
        tokens=0,
    )


def complete(card: ModelCard, path: Path) -> ModelCard:
    """The card with the traits of its config; requests may name it from now on."""
    traits = traits_of(card.title, path)
    config = read_config(traits.family, path.parent)
    check_layers(card.title, config)
    tokens = traits.tokens(config)
    return register(
        replace(
            card,
            family=traits.family,
            media=traits.media,
            grounding=traits.grounding,
            tokens=tokens,
            each=tokens if traits.fixed else None,
            frames=traits.frames,
        )
    )


def traits_of(title: str, path: Path) -> Traits:
    """The traits of the architecture in config.json. Raises `ExplainedError` for another one."""
    from models.checkpoints.llava_next import read_json

    try:
        names = read_json(path).get("architectures") or ["no architecture"]
    except (ValueError, AttributeError):
        raise ExplainedError(f"{path.name} of {title} is damaged: wanted a JSON object.") from None
    if names[0] not in ARCHITECTURES:
        with suppress(OSError, KeyError):  # an architecture that transformers does not know
            check_layers(title, read_config("", path.parent))
        raise ExplainedError(f"{title} is a {names[0]}; known are {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[names[0]]


def read_config(family: str, folder: Path) -> Any:
    """The config of a checkpoint, as a class of transformers."""
    if family == "llava-video":
        from models.checkpoints.llava_next import read_json, translate_config

        return translate_config(read_json(folder / "config.json"))
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ValueError as error:  # several lines
        raise OSError(f"{error}".splitlines()[0]) from None


def _patches(config: Any) -> int:
    """Patches of one view."""
    return (config.vision_config.image_size // config.vision_config.patch_size) ** 2


def _tokens_of_crops(config: Any) -> int:
    """The base view, the most crops and a newline for each of their rows."""
    base, vision = _patches(config), config.vision_config
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    tallest = max(height for height, _ in config.image_grid_pinpoints) // vision.patch_size
    return base + int(CROP_EXCESS * most * base) + tallest


def _tokens_of_frames(config: Any) -> int:
    """64 frames, pooled, with a newline for each row."""
    side = -(-(config.vision_config.image_size // config.vision_config.patch_size) // 2)
    return 64 * side * (side + 1)


def _tokens_of_tiles(config: Any) -> int:
    """12 tiles and the thumbnail, as many as InternVL's own processor makes."""
    return 13 * config.image_seq_length


def _tokens_of_smolvlm(config: Any) -> int:
    """4 x 4 tiles and the thumbnail, as many as SmolVLM's own processor makes."""
    return 17 * _patches(config) // config.scale_factor**2


def _tokens_of_pixels(config: Any) -> int:
    return 16_384  # the largest picture of Qwen's own processors


_QWEN = {"media": BOTH, "tokens": _tokens_of_pixels, "frames": 32}
_PICTURES = frozenset({"image"})
ARCHITECTURES = {
    "LlavaForConditionalGeneration": Traits("llava", _PICTURES, "padded", _patches, fixed=True),
    "LlavaOnevisionForConditionalGeneration": Traits(
        "llava-onevision", BOTH, "plain", _tokens_of_crops, frames=32
    ),
    "LlavaQwenForCausalLM": Traits(
        "llava-video", frozenset({"video"}), "plain", _tokens_of_frames, frames=64
    ),
    "Qwen2_5_VLForConditionalGeneration": Traits("qwen2.5-vl", grounding="pixels", **_QWEN),
    "Qwen3VLForConditionalGeneration": Traits("qwen3-vl", grounding="thousand", **_QWEN),
    "InternVLForConditionalGeneration": Traits("internvl", _PICTURES, "thousand", _tokens_of_tiles),
    "SmolVLMForConditionalGeneration": Traits("smolvlm", _PICTURES, "plain", _tokens_of_smolvlm),
}
