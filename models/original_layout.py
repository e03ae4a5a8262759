"""A checkpoint as LLaVA-NeXT's own code writes it, in the classes of transformers."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    GenerationConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
)
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from models.original_config import translate_config

log = logging.getLogger(__name__)

RENAMED = (  # how a tensor's name begins, and how transformers begins it; others stay
    (r"^model\.vision_tower\.vision_tower\.vision_model\.", "model.vision_tower."),
    (r"^model\.mm_projector\.0\.", "model.multi_modal_projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "model.multi_modal_projector.linear_2."),
    (r"^model\.(layers|embed_tokens|norm)\.", r"model.language_model.\1."),
)
LAYER = re.compile(r"model\.vision_tower\.encoder\.layers\.(\d+)\.")
MOST_NAMED = 3  # tensors in a refusal


def load_original(folder: Path, dtype: str | torch.dtype) -> LlavaOnevisionForConditionalGeneration:
    """The model in a folder, every tensor in its place; one too many or too few is refused."""
    config = translate_config(read_json(folder / "config.json"))
    tensors, spare = translate_tensors(read_tensors(folder), config)
    if spare:
        log.info("%s: LLaVA has no use for %s", folder.name, ", ".join(spare))
    # Not assigned into a model on meta: its rotary frequencies would stay there.
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=tensors, dtype=dtype, attn_implementation="sdpa"
    )
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model.eval().requires_grad_(False)


def processor_of(config: LlavaOnevisionConfig) -> LlavaOnevisionImageProcessorPil:
    """SigLIP's image processor; the folder holds none."""
    side, half = config.vision_config.image_size, [0.5, 0.5, 0.5]
    return LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side},
        image_mean=half,
        image_std=half,
        image_grid_pinpoints=config.image_grid_pinpoints,
    )


def translate_tensors(
    original: Mapping[str, Tensor], config: LlavaOnevisionConfig
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under transformers' names, and the names of those that LLaVA has no use for.

    Those are the encoder's pooling head, and its layers behind the one that feeds the projector.
    """
    with torch.device("meta"):
        wanted = LlavaOnevisionForConditionalGeneration(config).state_dict()
    if config.tie_word_embeddings:
        del wanted["lm_head.weight"]
    named = {rename(name): name for name in original}
    further = [name for name in named if name not in wanted]
    if unknown := [named[name] for name in further if not is_spare(name, config)]:
        raise ValueError(f"The checkpoint holds {listed(unknown)}; LLaVA-Video has no such tensor.")
    if missing := [name for name in wanted if name not in named]:
        raise ValueError(f"The checkpoint lacks {listed(missing)}: it is not whole.")
    for name, tensor in wanted.items():
        if tensor.shape != (shape := original[named[name]].shape):
            raise ValueError(f"{named[name]} is {tuple(shape)}, wanted {tuple(tensor.shape)}.")
    return {name: original[named[name]] for name in wanted}, [named[name] for name in further]


def rename(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def is_spare(name: str, config: LlavaOnevisionConfig) -> bool:
    if name.startswith("model.vision_tower.head."):
        return True
    layer = LAYER.match(name)
    return layer is not None and int(layer[1]) >= config.vision_config.num_hidden_layers


def listed(names: list[str]) -> str:
    """The first few of them, and how many more there are."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All that a folder's safetensors hold, in one file or in shards."""
    index = folder / "model.safetensors.index.json"
    files = ["model.safetensors"]
    if index.is_file():
        files = sorted(set(read_json(index)["weight_map"].values()))
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise ValueError(f"{folder.name} lacks {listed(missing)}; fetch its safetensors again.")
    return {name: tensor for file in files for name, tensor in load_file(folder / file).items()}


def read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path.parent.name} lacks {path.name}; fetch the checkpoint again.")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
