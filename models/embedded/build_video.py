"""The embedded video model as a stock `LlavaOnevisionForConditionalGeneration`.

It begins from the picture model: the same layers see and read, and only what clips ask of them
(a tower without [CLS], pooled tokens, time) has to be learnt.
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
from models.embedded.growing import begin_layers, begin_words, stretched

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


@torch.no_grad()
def begin_from(
    model: LlavaOnevisionForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    pictures: LlavaForConditionalGeneration,
    words: PreTrainedTokenizerFast,
) -> None:
    """Copy what the picture model learnt: layers, projector, and the words that both know."""
    begin_tower(model, pictures)
    ours, theirs = model.model, pictures.model
    ours.multi_modal_projector.load_state_dict(theirs.multi_modal_projector.state_dict())
    begin_layers(ours.language_model.layers, theirs.language_model.layers)
    ours.language_model.norm.load_state_dict(theirs.language_model.norm.state_dict())
    begin_words(model, tokenizer, pictures, words)


@torch.no_grad()
def begin_tower(
    model: LlavaOnevisionForConditionalGeneration, pictures: LlavaForConditionalGeneration
) -> None:
    """CLIP's layers up to the one that yields its features, without [CLS]."""
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
    """In 16 bits, with everything `from_pretrained` wants."""
    half = LlavaOnevisionForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessorPil(
        size={"height": PIXELS, "width": PIXELS}, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)
