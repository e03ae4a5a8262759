"""Copies a trained model into a new one, which may be deeper, finer and have other words."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast


def begin_from(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    trained: LlavaForConditionalGeneration,
    words: PreTrainedTokenizerFast,
) -> None:
    """Copies encoder, projector and LLM."""
    begin_tower(model.model.vision_tower, trained.model.vision_tower)
    begin_llm(model, tokenizer, trained, words)


@torch.no_grad()
def begin_tower(tower: CLIPVisionModel, trained: CLIPVisionModel) -> None:
    """Copies the layers; resizes the position embeddings to the grid of the new tower."""
    weights, name = trained.state_dict(), "embeddings.position_embedding.weight"
    place, wanted = weights[name], tower.state_dict()[name]
    weights[name] = torch.cat([place[:1], stretched(place[1:], len(wanted) - 1)])
    tower.load_state_dict(weights)


def stretched(place: Tensor, count: int) -> Tensor:
    """Resizes position embeddings (n², D) of a square grid to (count, D) of another."""
    old, new = round(len(place) ** 0.5), round(count**0.5)
    square = place.T.reshape(1, -1, old, old)
    return interpolate(square, (new, new), mode="bicubic", align_corners=False)[0].flatten(1).T


@torch.no_grad()
def begin_llm(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    trained: nn.Module,
    words: PreTrainedTokenizerFast,
) -> None:
    """Copies projector, layers, norm, and the embeddings of the words that both know."""
    new, old = model.model, trained.model
    new.multi_modal_projector.load_state_dict(old.multi_modal_projector.state_dict())
    begin_layers(new.language_model.layers, old.language_model.layers)
    new.language_model.norm.load_state_dict(old.language_model.norm.state_dict())
    known = words.get_vocab()
    both = [(index, known[word]) for word, index in tokenizer.get_vocab().items() if word in known]
    ours, theirs = (list(indices) for indices in zip(*both, strict=True))
    new.language_model.embed_tokens.weight[ours] = old.language_model.embed_tokens.weight[theirs]
    model.lm_head.weight[ours] = trained.lm_head.weight[theirs]


@torch.no_grad()
def begin_layers(layers: nn.ModuleList, trained: nn.ModuleList) -> None:
    """Copies the trained layers in order; layers between them change nothing at first.

    Such a layer is a copy of the one before it whose output projections are zero.
    """
    old, new = len(trained), len(layers)
    places = [index * new // old for index in range(old)]  # of the trained layers
    for index, layer in enumerate(layers):
        source = max(number for number, place in enumerate(places) if place <= index)
        layer.load_state_dict(trained[source].state_dict())
        if index not in places:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
