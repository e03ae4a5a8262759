"""Deep states of the encoder equal stock's, and are dropped and merged with their tokens."""

from __future__ import annotations

import pytest
import torch

from models.uploads.media import Media
from pruning.base import Needs
from pruning.methods import create
from pruning.token_map import TokenMap
from tests.tiny import picture, prefilled, tiny_qwen3_vl

UPLOADS = (picture(), picture(100, 200), picture(30, 300), picture(9, 9))
each_upload = pytest.mark.parametrize("media", UPLOADS, ids=lambda media: str(media.frames.shape))


@each_upload
@torch.inference_mode()
def test_tokens_and_deep_states_are_those_of_the_stock_model(media: Media) -> None:
    adapter = tiny_qwen3_vl()
    prompt = adapter.prepare(media, "What is this?")
    visual = adapter.encode(prompt, Needs())
    grid = adapter.encoder_of(prompt).patch_grid
    stock = adapter.model.model.get_image_features(prompt.pixels, grid)
    assert torch.equal(visual.features, stock.pooler_output[0])
    assert len(visual.deepstack) == 2
    for ours, theirs in zip(visual.deepstack, stock.deepstack_features, strict=True):
        assert torch.equal(ours, theirs if torch.is_tensor(theirs) else theirs[0])  # 5.17, or later


@each_upload
def test_ids_are_stock_s(media: Media) -> None:
    adapter = tiny_qwen3_vl()
    lane = prefilled(adapter, create("vanilla"), media)
    prompt = lane.prompt
    marked = prompt.before.new_full((len(prompt.layout),), adapter.marker("image"))
    ids = torch.cat([prompt.before, marked, prompt.after])
    kinds, grid = (ids == adapter.marker("image")).int(), adapter.encoder_of(prompt).patch_grid
    stock, _ = adapter.model.model.get_rope_index(ids[None], kinds[None], image_grid_thw=grid)
    assert torch.equal(lane.sequence.positions, stock[:, 0])


def test_deep_states_go_where_their_tokens_go_before_the_llm() -> None:
    adapter = tiny_qwen3_vl()
    lane = prefilled(adapter, create("pooling", retention_ratio=0.25))
    assert not lane.token_map.is_selection
    assert len(lane.sequence.deepstack) == 2
    for mapped, whole in zip(lane.sequence.deepstack, lane.visual.deepstack, strict=True):
        torch.testing.assert_close(mapped, lane.token_map.apply(whole))


def test_deep_states_join_the_survivors_of_the_first_layers_alone() -> None:
    adapter = tiny_qwen3_vl()
    sequence = prefilled(adapter, create("vanilla")).sequence
    hidden = torch.randn(sequence.embeds.shape)
    for layer, joining in enumerate(sequence.deepstack):
        rows = sequence.after(layer, hidden).embeds[sequence.visual]
        assert torch.equal(rows, hidden[sequence.visual] + joining)
    assert torch.equal(sequence.after(2, hidden).embeds, hidden)
    text = torch.ones(len(hidden), dtype=torch.bool).index_fill(0, sequence.visual, False)
    assert torch.equal(sequence.after(0, hidden).embeds[text], hidden[text])


def test_methods_see_merged_tokens_and_nothing_of_the_deep_states() -> None:
    adapter = tiny_qwen3_vl()
    prompt = adapter.prepare(picture(), "What is this?")
    with torch.inference_mode():
        visual = adapter.encode(prompt, Needs(encoder=frozenset({"attention", "keys"})))
    assert visual.features.shape == (24, 64)
    assert visual.keys.shape == (24, 48)
    assert len(TokenMap.identity(len(visual))) == 24
    torch.testing.assert_close(visual.attention.sum() * 4, torch.tensor(1.0))


def test_boxes_are_read_in_thousandths_of_the_picture() -> None:
    adapter = tiny_qwen3_vl()
    prompt = adapter.prepare(picture(), "?")
    answer = '[{"bbox_2d": [250, 100, 500, 1000], "label": "cat"}]'
    assert adapter.boxes(prompt, answer).ravel().tolist() == pytest.approx([0.25, 0.1, 0.5, 1.0])
