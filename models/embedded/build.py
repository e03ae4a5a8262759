"""Builds and saves the embedded image model, a stock `LlavaForConditionalGeneration`."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

PIXELS, PATCH = 192, 8
GRID = PIXELS // PATCH
WIDTH, LAYERS = 192, 12
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def config(tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    """A small LLaVA: a CLIP tower of 6 layers, a projector, a Llama of 12 layers."""
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=6,
            num_attention_heads=3,
            image_size=PIXELS,
            patch_size=PATCH,
            projection_dim=WIDTH,
        ),
        text_config=llama(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=GRID * GRID,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


def llama(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """The LLM of both embedded models.

    The rotary base is Llama's own 10,000. At 200, nearly every pair of dimensions rotates with
    distance, and words hardly attend to objects by their content (measured: README.md).
    """
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=LAYERS,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def untrained(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlavaForConditionalGeneration:
    torch.manual_seed(seed)
    return LlavaForConditionalGeneration(config(tokenizer)).float()


def pixels(pictures: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float, normalised as the saved processor does it."""
    mean, std = (torch.tensor(values, device=pictures.device) for values in (MEAN, STD))
    return ((pictures.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def save(
    model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Saves the model in 16 bits with the files that `from_pretrained` needs."""
    half = LlavaForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = {"height": PIXELS, "width": PIXELS}
    CLIPImageProcessor(
        do_resize=True,
        size=side,
        do_center_crop=False,
        image_mean=list(MEAN),
        image_std=list(STD),
    ).save_pretrained(folder)
