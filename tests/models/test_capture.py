"""The signals for methods equal those of the stock model with eager attention."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from models.engine.pipeline import Lane
from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget
from pruning.ops.attention import attend
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens
from tests.models.runs import deepened
from tests.tiny import SETTINGS, Setting, picture, prefilled, tiny_llava

each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
ENCODER = frozenset({"attention", "keys", "frames", "cls", "text"})
LLM = frozenset(
    {"hidden", "text", "inputs", "text_inputs", "attention", "ahead", "queries", "keys"}
    | {"values", "text_values", "context_values", "rotary", "query_rotary"}
)


@dataclass(frozen=True)
class Witness(CompressionMethod):
    """Keeps everything and remembers what it saw."""

    name = "witness"
    title = "Witness"
    summary = "For tests."

    seen: dict[int, LayerView] = knob(None, help="layer -> view")  # noqa: RUF009
    asking: str = knob("last", help="llm_queries")
    rope: bool = knob(True, help="llm_rope")

    @property
    def needs(self) -> Needs:
        return Needs(llm_queries=self.asking, llm=LLM, llm_rope=self.rope)

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        return Budget(num_tokens, ((2, num_tokens), (5, num_tokens)), first_stage=1)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        self.seen[view.layer] = view
        return TokenMap.identity(len(view))


def encoded(needs: Needs) -> VisualTokens:
    adapter = tiny_llava()
    with torch.inference_mode():
        return adapter.encode(adapter.prepare(picture(), "What is this?"), needs)


@torch.inference_mode()
def stock_encoder() -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    adapter = tiny_llava(kernel="eager")
    pixels = adapter.prepare(picture(), "What is this?").pixels
    tower = adapter.model.model.vision_tower
    stock = tower(pixels, output_hidden_states=True, output_attentions=True)
    return stock.hidden_states, stock.attentions


@pytest.mark.parametrize("cls", [True, False], ids=["with [CLS]", "without [CLS]"])
def test_encoder_signals_are_those_of_the_layer_that_yields_the_features(cls: bool) -> None:
    visual = encoded(Needs(encoder=ENCODER if cls else ENCODER - {"cls"}, encoder_span=(2 / 3, 1)))
    hidden, attentions = stock_encoder()
    first = 0 if cls else 1
    layer = tiny_llava().model.model.vision_tower.encoder.layers[4]
    with torch.inference_mode():
        keys = layer.self_attn.k_proj(layer.layer_norm1(hidden[4]))[0]
    assert torch.allclose(visual.features, hidden[-2][0, first:], atol=1e-5)
    received = attentions[-2][0, :, 0, first:].mean(dim=0)
    assert (visual.attention - received).abs().max() < 1e-6
    assert torch.allclose(visual.keys, keys[first:], atol=1e-5)
    assert visual.key_heads == 4
    assert torch.allclose(visual.hidden, torch.cat(hidden[4:])[:, first:], atol=1e-5)
    assert torch.allclose(visual.frames, hidden[-2][:, 1:].mean(dim=1), atol=1e-5)
    assert visual.layout.placed.tolist() == [False] * cls + [True] * 36
    assert len(visual) == 36 + cls


@each_setting
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("asking", ["last", "last3", "text"])
def test_recomputed_attention_is_eager_attention(
    setting: Setting, asking: str, kv_heads: int
) -> None:
    seen: dict[int, LayerView] = {}
    fast, slow = (setting.model(kv_heads=kv_heads, kernel=kernel) for kernel in ("sdpa", "eager"))
    lane = prefilled(fast, Witness(seen, asking), setting.upload())
    with torch.inference_mode():
        stock = slow.model.model.language_model(
            inputs_embeds=lane.sequence.embeds[None],
            position_ids=lane.sequence.positions.unsqueeze(-2),
            output_attentions=True,
            **deepened(lane.sequence),
        )
    visual = lane.sequence.visual
    first = {"last": -1, "last3": -3, "text": -len(lane.prompt.after)}[asking]
    for layer, view in seen.items():
        expected = stock.attentions[layer - 1][0, :, first:][:, :, visual]  # (H, Q, V)
        assert view.attention.shape == expected.shape
        assert (view.attention - expected).abs().max() < 1e-6
        ahead = stock.attentions[layer][0, :, first:][:, :, visual]
        assert (view.ahead - ahead).abs().max() < 1e-6


@each_setting
def test_a_stage_is_counted_from_the_methods_own_first_pruning_layer(setting: Setting) -> None:
    seen: dict[int, LayerView] = {}
    prefilled(setting.model(), Witness(seen), setting.upload())
    assert {layer: view.stage for layer, view in seen.items()} == {2: 1, 5: 2}


@each_setting
@pytest.mark.parametrize("rope", [True, False])
def test_views_carry_queries_and_keys_of_the_layer_before(setting: Setting, rope: bool) -> None:
    seen: dict[int, LayerView] = {}
    lane = prefilled(setting.model(), Witness(seen, "text", rope), setting.upload())
    visual, cache = lane.sequence.visual, lane.state.cache
    for layer, view in seen.items():
        keys = cache.layers[layer - 1].keys[0, :, visual]  # (G, V, d)
        same = torch.allclose(view.keys, keys, atol=1e-5)
        assert same is rope
        assert view.queries.shape == (4, len(lane.prompt.after), 16)
        if rope:
            rows = asking(lane)[:, None]
            later = torch.arange(len(lane.sequence.embeds)) > rows  # (Q, S)
            given = attend(view.queries, cache.layers[layer - 1].keys[0], 16**-0.5, later)
            assert torch.allclose(given[:, :, visual], view.attention, atol=1e-6)


@each_setting
def test_views_carry_the_values_of_all_rows_by_kind(setting: Setting) -> None:
    seen: dict[int, LayerView] = {}
    lane = prefilled(setting.model(), Witness(seen, "text"), setting.upload())
    visual, after = lane.sequence.visual, asking(lane)
    for layer, view in seen.items():
        values = lane.state.cache.layers[layer - 1].values[0]  # (G, S, d)
        assert torch.equal(view.values, values[:, visual])
        assert torch.equal(view.text_values, values[:, after])
        others = sorted(set(range(values.shape[1])) - {*visual.tolist(), *after.tolist()})
        assert torch.equal(view.context_values, values[:, others])
        assert len(others) == lane.prompt.num_text - len(after)


@each_setting
def test_views_carry_rows_as_they_enter_the_layer_and_as_they_entered_the_llm(
    setting: Setting,
) -> None:
    seen: dict[int, LayerView] = {}
    lane = prefilled(setting.model(), Witness(seen, "text"), setting.upload())
    decoder, after = lane.adapter.decoder, asking(lane)
    for view in seen.values():
        assert torch.equal(view.inputs, lane.sequence.embeds[lane.sequence.visual])
        assert torch.equal(view.text_inputs, decoder.embed(lane.prompt.after))
        assert view.text.shape == view.text_inputs.shape
        assert view.hidden.shape == (len(lane.prompt.layout), 64)
        assert not torch.equal(view.hidden, view.inputs)
        cos, sin = decoder.rope(lane.sequence.positions)
        assert torch.equal(view.rotary, torch.stack([cos[0], sin[0]])[:, lane.sequence.visual])
        assert torch.equal(view.query_rotary, torch.stack([cos[0], sin[0]])[:, after])


def asking(lane: Lane) -> Tensor:
    """The rows of the text after the picture."""
    length = len(lane.sequence.embeds)
    return torch.arange(length - len(lane.prompt.after), length)


def test_the_encoder_stops_where_nothing_deeper_is_needed() -> None:
    adapter, ran = tiny_llava(), []
    layers = adapter.model.model.vision_tower.encoder.layers
    hooks = [
        layer.register_forward_hook(lambda *_, at=at: ran.append(at))
        for at, layer in enumerate(layers)
    ]
    try:
        encoded(Needs())
        assert ran == [0, 1, 2, 3, 4]
        ran.clear()
        encoded(Needs(encoder_span=(0.5, 1)))
        assert ran == [0, 1, 2, 3, 4, 5]
    finally:
        for hook in hooks:
            hook.remove()
