"""Writes LLaVA-OneVision 0.5B in its true shape with random weights, laid out as on the hub.

python -m tests.models.true_shape CACHE      # 1.8 GB; then HF_HUB_CACHE=CACHE python -m app …
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlavaOnevisionForConditionalGeneration

from models.catalog import find
from models.shapes import SHAPES
from tests.models.hub import CHATML, name_of_4, qwen_tokenizer, save_json, save_settings
from tests.models.hub_cache import COMMIT

NAME = "llava-onevision-0.5b"


def write(cache: Path) -> Path:
    """The snapshot in a folder like the cache of the hub's client."""
    card = find(NAME)
    repository = cache / f"models--{card.source.replace('/', '--')}"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / COMMIT
    for folder in (blobs, snapshot, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / card.revision).write_text(COMMIT)
    save_checkpoint(blobs)
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


def save_checkpoint(folder: Path) -> None:
    """Settings, tokenizer and weights, as in the repository; the config says that it is random."""
    ids = qwen_tokenizer(folder, "<image>", "<video>")
    config = SHAPES[NAME]()
    config.image_token_id, config.video_token_id = ids["<image>"], ids["<video>"]
    side = config.vision_config.image_size
    processor = {
        "image_grid_pinpoints": config.image_grid_pinpoints,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "size": {"height": side, "width": side},
    }
    save_json(folder / "preprocessor_config.json", processor)
    ends = {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]}
    extra = {"architectures": [LlavaOnevisionForConditionalGeneration.__name__]}
    content = config.to_dict() | extra | {"tokenscope_random": True}
    save_settings(folder, content, {"num_image_tokens": 729}, CHATML, ends)
    torch.manual_seed(0)
    model = LlavaOnevisionForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    tensors = model.state_dict()
    del tensors["lm_head.weight"]  # tied
    named = {name_of_4(name): tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
