"""The embedded video model as a stock `LlavaOnevisionForConditionalGeneration`.

Training begins with the layers of the picture model. New for clips are a tower without [CLS],
pooled tokens, and questions about time.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from models.embedded.build import MEAN, PATCH, STD, WIDTH, llama
from models.embedded.growing import begin_llm, stretched

PIXELS = 128
GRID = PIXELS // PATCH
POOLED = GRID // 2  # visual tokens in a row of a frame


def config(tokenizer: PreTrainedTokenizerFast) -> LlavaOnevisionConfig:
    """A SigLIP tower of 5 layers, a projector, 2 × 2 pooling, a Llama of 12 layers."""
    return LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=5,
            num_attention_heads=3,
            image_size=PIXELS,
            patch_size=PATCH,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-5,
            vision_use_head=False,
        ),
        text_config=llama(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=[[PIXELS, PIXELS]],
    )


def untrained(
    tokenizer: PreTrainedTokenizerFast, seed: int
) -> LlavaOnevisionForConditionalGeneration:
    torch.manual_seed(seed)
    return LlavaOnevisionForConditionalGeneration(config(tokenizer)).float()


def begin_from(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    pictures: LlavaForConditionalGeneration,
    words: PreTrainedTokenizerFast,
) -> None:
    """Copies encoder, projector and LLM of the picture model."""
    begin_tower(model, pictures)
    begin_llm(model, tokenizer, pictures, words)


@torch.no_grad()
def begin_tower(
    model: LlavaOnevisionForConditionalGeneration, pictures: LlavaForConditionalGeneration
) -> None:
    """Copies CLIP's layers up to the one that yields its features, without [CLS]."""
    ours, theirs = model.model.vision_tower, pictures.model.vision_tower
    for ours_layer, theirs_layer in zip(ours.encoder.layers, theirs.encoder.layers, strict=False):
        ours_layer.load_state_dict(theirs_layer.state_dict())
    ours.embeddings.patch_embedding.weight.copy_(theirs.embeddings.patch_embedding.weight)
    ours.embeddings.patch_embedding.bias.zero_()
    place = theirs.embeddings.position_embedding.weight[1:]
    ours.embeddings.position_embedding.weight.copy_(stretched(place, GRID * GRID))


def save(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
) -> None:
    """Saves the model in 16 bits with the files that `from_pretrained` needs."""
    half = LlavaOnevisionForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessorPil(
        size={"height": PIXELS, "width": PIXELS}, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)
