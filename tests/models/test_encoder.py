"""Signals of the vision encoder, compared with the stock encoder with eager attention."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from models.engine.base import Adapter, Prompt
from models.families.encoders import ClipEncoder, SiglipEncoder
from pruning.base import Needs
from pruning.tokens import VisualTokens
from tests.tiny import SETTINGS, Setting, picture, tiny_llava

LAST = frozenset({"last_attention", "last_keys"})
MIDDLE = (1 / 4, 2 / 3)  # layers 2 to 4 of CLIP's six here, 1 to 3 of SigLIP's four
each_setting = pytest.mark.parametrize(
    "setting",
    [setting for setting in SETTINGS if setting.family == "llava"],
    ids=lambda setting: setting.id,
)


def encoded(setting: Setting, needs: Needs) -> tuple[Adapter, Prompt, VisualTokens]:
    adapter = setting.model()
    prompt = adapter.prepare(setting.upload(), "What is this?")
    return adapter, prompt, adapter.encode(prompt, needs)


def stock(setting: Setting, prompt: Prompt) -> tuple[nn.Module, tuple, tuple]:
    """The last layer, all hidden states and all attention maps."""
    tower = setting.model(kernel="eager").model.model.vision_tower
    output = tower(prompt.pixels, output_hidden_states=True, output_attentions=True)
    return tower.encoder.layers[-1], output.hidden_states, output.attentions


def arranged(adapter: Adapter, prompt: Prompt, values: Tensor) -> Tensor:
    """(B, n, C) as tokens (N, C), by the adapter, whose order other tests prove."""
    maps = adapter.encoder.maps(prompt.pixels, Needs()) | {"values": values}
    return adapter.tokens(prompt, Needs(), maps)["values"]


@each_setting
@torch.inference_mode()
def test_signals_of_the_last_layer_use_one_head_of_full_width(setting: Setting) -> None:
    adapter, prompt, visual = encoded(setting, Needs(encoder=LAST))
    layer, hidden, _ = stock(setting, prompt)
    entered = layer.layer_norm1(hidden[-2])  # (B, n, Dv)
    queries, keys = layer.self_attn.q_proj(entered), layer.self_attn.k_proj(entered)
    attention = (queries @ keys.mT / keys.shape[-1] ** 0.5).softmax(dim=-1)  # (B, n, n)
    asking = attention[:, : adapter.encoder.prefix or None].mean(dim=1)[..., None]  # (B, n, 1)
    assert torch.allclose(visual.last_keys, arranged(adapter, prompt, keys), atol=1e-5)
    expected = arranged(adapter, prompt, asking).squeeze(1)
    assert (visual.last_attention - expected).abs().max() < 1e-6


@each_setting
@torch.inference_mode()
def test_received_attention_averages_over_all_tokens_in_the_middle_layers(setting: Setting) -> None:
    adapter, prompt, visual = encoded(setting, Needs(encoder_received=MIDDLE))
    _, _, attentions = stock(setting, prompt)
    layers = attentions[1:4] if len(attentions) == 4 else attentions[2:5]
    assert len(visual.received) == len(layers) == 3
    for ours, attention in zip(visual.received, layers, strict=True):
        received = attention.mean(dim=(1, 2))[..., None]  # over heads and queries, [CLS] too
        expected = arranged(adapter, prompt, received).squeeze(1)
        assert (ours - expected).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("depth", "layers"), [(24, [6, 7, 8]), (27, [7, 8, 9]), (12, [3, 4]), (6, [2]), (4, [1, 2])]
)
def test_middle_layers_scale_with_depth(depth: int, layers: list[int]) -> None:
    tower = SimpleNamespace(encoder=SimpleNamespace(layers=[None] * depth))
    needs = Needs(encoder_received=(1 / 4, 1 / 3))
    assert list(SiglipEncoder(tower, -1).receivers(needs)) == layers
    assert list(SiglipEncoder(tower, -1).receivers(Needs(encoder_received=(0.0, 1.0))))[-1] < depth


@pytest.mark.parametrize(
    ("needs", "deepest", "signals"),
    [
        (Needs(), 2, set()),
        (Needs(encoder_received=(0.0, 0.3)), 2, {"received"}),
        (Needs(encoder_received=(0.5, 0.5)), 3, {"received"}),
        (Needs(encoder=frozenset({"last_keys"})), 5, {"last_keys"}),
        (Needs(encoder=frozenset({"last_attention"})), 5, {"last_attention"}),
        (Needs(encoder_span=(1.0, 1.0)), 6, {"hidden"}),
    ],
)
def test_an_encoder_runs_only_the_layers_and_computes_only_the_signals_needed(
    needs: Needs, deepest: int, signals: set[str]
) -> None:
    encoder = ClipEncoder(tiny_llava().model.model.vision_tower, 2)  # features far from the end
    assert encoder.deepest(needs) == deepest
    pixels = tiny_llava().prepare(picture(), "?").pixels
    with torch.inference_mode():
        assert encoder.maps(pixels, needs).keys() == {"features"} | signals
