"""A new model begins from a trained one that may be shallower, coarser and know other words."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast


@torch.no_grad()
def begin_from(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    trained: LlavaForConditionalGeneration,
    words: PreTrainedTokenizerFast,
) -> None:
    """Copy encoder, projector, layers, and the embeddings of the words that both know."""
    ours, theirs = model.model, trained.model
    begin_tower(ours.vision_tower, theirs.vision_tower)
    ours.multi_modal_projector.load_state_dict(theirs.multi_modal_projector.state_dict())
    begin_layers(ours.language_model.layers, theirs.language_model.layers)
    ours.language_model.norm.load_state_dict(theirs.language_model.norm.state_dict())
    begin_words(model, tokenizer, trained, words)


@torch.no_grad()
def begin_tower(tower: CLIPVisionModel, trained: CLIPVisionModel) -> None:
    """The same layers; position embeddings stretched to the tower's grid."""
    weights, name = trained.state_dict(), "embeddings.position_embedding.weight"
    place, wanted = weights[name], tower.state_dict()[name]
    weights[name] = torch.cat([place[:1], stretched(place[1:], len(wanted) - 1)])
    tower.load_state_dict(weights)


def stretched(place: Tensor, count: int) -> Tensor:
    """Position embeddings (n², D) of a square grid as (count, D) of another one."""
    old, new = round(len(place) ** 0.5), round(count**0.5)
    square = place.T.reshape(1, -1, old, old)
    return interpolate(square, (new, new), mode="bicubic", align_corners=False)[0].flatten(1).T


@torch.no_grad()
def begin_layers(layers: nn.ModuleList, trained: nn.ModuleList) -> None:
    """The trained layers in order, and between them new ones that do nothing at first.

    A new layer is a copy of the one before it whose output projections are zero.
    """
    old, new = len(trained), len(layers)
    places = [index * new // old for index in range(old)]  # where each trained layer goes
    for index, layer in enumerate(layers):
        source = max(number for number, place in enumerate(places) if place <= index)
        layer.load_state_dict(trained[source].state_dict())
        if index not in places:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


@torch.no_grad()
def begin_words(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    trained: nn.Module,
    words: PreTrainedTokenizerFast,
) -> None:
    known = words.get_vocab()
    both = [(index, known[word]) for word, index in tokenizer.get_vocab().items() if word in known]
    ours, theirs = (list(indices) for indices in zip(*both, strict=True))
    pairs = (
        (model.model.language_model.embed_tokens, trained.model.language_model.embed_tokens),
        (model.lm_head, trained.lm_head),
    )
    for new, old in pairs:
        new.weight[ours] = old.weight[theirs]
