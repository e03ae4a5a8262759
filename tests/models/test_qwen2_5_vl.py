"""Qwen2.5-VL: windows, patches of two frames and ids on three axes, against references."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from models.engine.base import Prompt
from models.engine.pipeline import run_lane
from models.families import qwen_encoder
from models.families.qwen2_5_vl import Qwen25VLAdapter
from models.families.qwen_pixels import to_patches
from models.uploads.media import Media
from pruning.base import Needs
from pruning.methods import create
from pruning.tokens import VisualTokens
from tests.tiny import clip, picture, prefilled, tiny_qwen2_5_vl

SIGNALS = Needs(
    encoder=frozenset({"attention", "keys", "last_attention", "last_keys", "frames", "text"}),
    encoder_span=(0.5, 1.0),
    encoder_received=(0.0, 1.0),
)
UPLOADS = (picture(), picture(100, 200), picture(30, 300), picture(9, 9), clip(), clip(5), clip(1))
# Before huggingface/transformers#48669, stock ids lose fractions of a second: 5.17 does, 5.23 not.
CUTS_SECONDS = Version(transformers.__version__) < Version("5.23")
each_upload = pytest.mark.parametrize("media", UPLOADS, ids=lambda media: str(media.frames.shape))


@torch.inference_mode()
def encoded(media: Media, needs: Needs = SIGNALS) -> tuple[Qwen25VLAdapter, Prompt, VisualTokens]:
    adapter = tiny_qwen2_5_vl()
    prompt = adapter.prepare(media, "What is this?")
    return adapter, prompt, adapter.encode(prompt, needs)


@each_upload
@torch.inference_mode()
def test_tokens_are_those_of_the_stock_model(media: Media) -> None:
    adapter, prompt, visual = encoded(media, Needs())
    model, grid = adapter.model.model, adapter.encoder_of(prompt).patch_grid
    stock = model.get_video_features if media.kind == "video" else model.get_image_features
    assert torch.equal(visual.features, stock(prompt.pixels, grid).pooler_output[0])


def seen_by(adapter: Qwen25VLAdapter, grid: tuple[int, int, int], index: int) -> Tensor:
    """(P, P) which patches see each other in a block: by frame and, if need be, by window."""
    tower, (frames, rows, cols) = adapter.model.model.visual, grid
    side = tower.spatial_merge_size
    frame, row, _, col, _ = (
        torch.from_numpy(axis.transpose(0, 1, 3, 2, 4).ravel())
        for axis in np.indices((frames, rows, side, cols, side))
    )
    span = tower.window_size // tower.patch_size // side
    window = row // span * cols + col // span
    place = frame if index in tower.fullatt_block_indexes else frame * rows * cols + window
    return place[:, None] == place


@torch.inference_mode()
def written_down(
    adapter: Qwen25VLAdapter, prompt: Prompt
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Dense attention (H, P, P), raw keys (P, Dv) and hidden states (P, Dv), in raster order."""
    encoder, tower = adapter.encoder_of(prompt), adapter.model.model.visual
    places = torch.arange(len(prompt.pixels))
    raster = encoder.to_tower_order(places[:, None]).squeeze(1).argsort()
    cos, sin = (table[raster] for table in encoder.rope)  # (P, 1, d) each
    patches = tower.patch_embed(prompt.pixels)
    attentions, keys, states = [], [], [patches]
    for index, block in enumerate(tower.blocks):
        normed = block.norm1(patches)
        query, key, value = block.attn.qkv(normed).view(len(patches), 3, 4, 12).unbind(1)
        keys.append(key.flatten(1))
        query, key = (
            x * cos + torch.cat([-x[..., 6:], x[..., :6]], dim=-1) * sin for x in (query, key)
        )
        scores = query.transpose(0, 1) @ key.permute(1, 2, 0) / 12**0.5
        blind = ~seen_by(adapter, prompt.layout.grid, index)
        attentions.append(scores.masked_fill(blind, -torch.inf).softmax(-1))
        mixed = (attentions[-1] @ value.transpose(0, 1)).transpose(0, 1).flatten(1)
        patches = patches + block.attn.proj(mixed)
        patches = patches + block.mlp(block.norm2(patches))
        states.append(patches)
        keys[-1] = torch.stack([keys[-1], query.flatten(1), key.flatten(1)])
    return attentions, keys, states


def merged(patches: Tensor) -> Tensor:
    """(P, ·) -> (N, ·), the mean of four."""
    return patches.unflatten(0, (-1, 4)).mean(dim=1)


@pytest.mark.parametrize("media", [picture(100, 200), clip()], ids=lambda media: media.kind)
def test_signals_are_those_of_attention_written_down(media: Media) -> None:
    adapter, prompt, visual = encoded(media)
    attentions, keys, states = written_down(adapter, prompt)
    frames, rows, cols = prompt.layout.grid
    per_frame = 4 * rows * cols
    given = [attention.mean(dim=0).sum(dim=0)[:, None] / per_frame for attention in attentions]
    torch.testing.assert_close(visual.attention, merged(given[-1])[:, 0], atol=1e-6, rtol=0)
    for ours, expected in zip(visual.received, given, strict=True):
        torch.testing.assert_close(ours, merged(expected)[:, 0], atol=1e-6, rtol=0)
    raw, query, key = keys[-1]
    torch.testing.assert_close(visual.keys, merged(raw), atol=1e-5, rtol=0)
    assert torch.equal(visual.keys, visual.last_keys)
    blind = ~seen_by(adapter, prompt.layout.grid, 3)
    one_head = (query @ key.T / 48**0.5).masked_fill(blind, -torch.inf).softmax(-1)
    expected = merged(one_head.sum(dim=0)[:, None] / per_frame)[:, 0]
    torch.testing.assert_close(visual.last_attention, expected, atol=1e-6, rtol=0)
    hidden = torch.stack([merged(state) for state in states[2:]])
    torch.testing.assert_close(visual.hidden, hidden, atol=1e-5, rtol=0)
    pooled = states[-1].unflatten(0, (frames, -1)).mean(dim=1)
    torch.testing.assert_close(visual.frames, pooled, atol=1e-5, rtol=0)
    assert visual.key_heads == 4


def test_a_window_is_not_the_whole_frame() -> None:
    adapter, prompt, _ = encoded(picture(100, 200), Needs())
    windows = adapter.encoder_of(prompt).windows(0)
    assert sorted(rows.shape[1] for rows in windows) == [4, 8, 16]
    assert sum(rows.numel() for rows in windows) == len(prompt.pixels)


class KernelCalls(TorchDispatchMode):
    """Counts how often attention runs."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += "scaled_dot_product" in str(function)
        return function(*args, **(kwargs or {}))


def test_attention_runs_once_a_block_for_all_windows_of_a_size() -> None:
    adapter = tiny_qwen2_5_vl()
    prompt = adapter.prepare(picture(60, 90), "?")  # 4 x 6 tokens in six windows of one size
    with KernelCalls() as calls, torch.inference_mode():
        adapter.encode(prompt, Needs())
    assert calls.count == 4


@each_upload
@pytest.mark.parametrize("seconds", [0.25, 0.4, 1.0])
def test_ids_equal_stocks_except_for_text_after_a_long_clip(media: Media, seconds: float) -> None:
    if CUTS_SECONDS and len(media.frames) > 2 and seconds < 1:
        pytest.skip("this transformers cuts the seconds of a time step to a whole number")
    adapter = tiny_qwen2_5_vl()
    media = replace(media, times=np.arange(len(media.frames)) * seconds)
    prompt = adapter.prepare(media, "What is this?")
    lane = prefilled(adapter, create("vanilla"), media)
    marked = prompt.before.new_full((len(prompt.layout),), adapter.marker(prompt.kind))
    ids = torch.cat([prompt.before, marked, prompt.after])
    kinds = (ids == adapter.marker("image")) + 2 * (ids == adapter.marker("video"))
    grid = {f"{prompt.kind}_grid_thw": adapter.encoder_of(prompt).patch_grid}
    stock, _ = adapter.model.model.get_rope_index(
        ids[None], kinds.int()[None], **grid, second_per_grid_ts=torch.tensor([2 * seconds])
    )
    ours, last = lane.sequence.positions, len(prompt.before) + len(prompt.layout)
    assert torch.equal(ours[:, :last], stock[:, 0, :last])
    behind = max(prompt.times[-1] + 1 - max(prompt.layout.grid[1:]), 0)
    assert torch.equal(ours[:, last:], stock[:, 0, last:] + behind)
    assert int(ours[0, last]) > int(ours[:, :last].max())


def test_a_clip_seen_slowly_has_its_text_behind_its_last_second() -> None:
    media = replace(clip(), times=np.arange(8) * 1.0)
    lane = prefilled(tiny_qwen2_5_vl(), create("vanilla"), media)
    assert lane.prompt.times == (0, 8, 16, 24)
    assert lane.sequence.extents == (25, 3, 4)


def test_the_shared_model_remembers_nothing_of_a_lane() -> None:
    adapter = tiny_qwen2_5_vl()
    list(run_lane(adapter, clip(), "What is this?", create("vanilla"), max_new_tokens=3))
    adapter.generate(adapter.prepare(clip(), "What is this?"), 3)
    assert adapter.model.model.rope_deltas is None


def test_two_lanes_at_once_answer_as_one_after_the_other() -> None:
    adapter = tiny_qwen2_5_vl()
    lanes = [(picture(), "visionzip"), (clip(), "flashvid"), (clip(), "vanilla")]

    def answering(media: Media, name: str):
        return run_lane(adapter, media, "What is this?", create(name), max_new_tokens=6)

    alone = [list(answering(*lane))[-1].answer for lane in lanes]
    at_once = [answering(*lane) for lane in lanes]
    steps = [list(step) for step in zip(*at_once, strict=True)]
    assert [result.answer for result in steps[-1]] == alone


def frames_of(patches: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Pixels (F, 3, h, w) put together again."""
    frames, rows, cols = grid
    parts = patches.view(frames, rows // 2, cols // 2, 2, 2, 3, 2, 8, 8)
    whole = parts.permute(0, 6, 5, 1, 3, 7, 2, 4, 8)  # T, t, C, rows, cols
    return whole.reshape(2 * frames, 3, rows * 8, cols * 8)


def test_a_patch_lies_over_two_frames_and_the_last_is_repeated() -> None:
    media = clip(5)
    processor = tiny_qwen2_5_vl().processor
    pixels = frames_of(*to_patches(media.frames, processor, None))
    for index, frame in enumerate([*media.frames, media.frames[-1]]):
        alone = frames_of(*to_patches(frame[None], processor, None))
        assert torch.equal(pixels[index], alone[0])
        assert torch.equal(alone[0], alone[1])
    assert len(pixels) == 6


def test_a_pictures_patches_equal_those_of_the_processor() -> None:
    adapter, media = tiny_qwen2_5_vl(), picture(100, 200)
    stock = adapter.processor(media.frames[0], return_tensors="pt")
    prompt = adapter.prepare(media, "?")
    assert torch.equal(prompt.pixels, stock.pixel_values)
    assert torch.equal(adapter.encoder_of(prompt).patch_grid, stock.image_grid_thw)


def test_a_picture_is_resized_to_the_pixel_limit() -> None:
    adapter = replace(tiny_qwen2_5_vl(), max_pixels=2500, max_frame_pixels=1300)
    height, width = adapter.prepare(picture(100, 200), "?").size
    assert 0 < height * width <= 2500
    height, width = adapter.prepare(clip(), "?").size
    assert 0 < height * width <= 1300


def test_a_processor_s_own_limits_hold() -> None:
    large = Qwen2VLImageProcessorPil(patch_size=8, min_pixels=1024, max_pixels=2048)
    pixels, _ = to_patches(picture(200, 200).frames, large, 10**9)
    assert len(pixels) * 64 <= 2048


def test_a_picture_that_is_too_narrow_is_refused_with_one_sentence() -> None:
    with pytest.raises(ValueError, match="is 500 x 1 pixels; for this model, one side"):
        tiny_qwen2_5_vl().prepare(picture(1, 500), "?")


def test_a_token_of_a_clip_lies_on_the_first_of_its_two_frames() -> None:
    layout = tiny_qwen2_5_vl().prepare(clip(5), "?").layout
    assert layout.grid == (3, 3, 4)
    assert np.unique(layout.frame).tolist() == [0, 2, 4]
    first, last = layout.box[[0, 11]].tolist()
    assert first == pytest.approx([0, 0, 1 / 4, 1 / 3])
    assert last == pytest.approx([3 / 4, 2 / 3, 1, 1])


def test_the_signs_around_a_picture_are_text() -> None:
    adapter = tiny_qwen2_5_vl()
    prompt, config = adapter.prepare(picture(), "What?"), adapter.model.config
    assert int(prompt.before[-1]) == config.vision_start_token_id
    assert config.vision_end_token_id in prompt.after.tolist()


def test_boxes_are_read_in_pixels_of_the_picture_as_it_was_seen() -> None:
    adapter = tiny_qwen2_5_vl()
    prompt = adapter.prepare(picture(), "?")
    assert prompt.size == (64, 96)
    answer = '```json\n[{"bbox_2d": [24, 16, 48, 64], "label": "cat"}]\n```'
    assert adapter.boxes(prompt, answer).tolist() == [[0.25, 0.25, 0.5, 1.0]]
    assert len(adapter.boxes(prompt, "There is no cat.")) == 0


def test_an_encoder_that_ends_in_windows_is_refused() -> None:
    vision = SimpleNamespace(depth=4, fullatt_block_indexes=[1])
    model = SimpleNamespace(config=SimpleNamespace(vision_config=vision))
    with pytest.raises(ValueError, match="has window attention"):
        Qwen25VLAdapter(model, None, None)


@torch.inference_mode()
def test_attention_in_parts_of_the_rows_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, needs = tiny_qwen2_5_vl(), Needs(encoder=frozenset({"attention"}))
    prompt = adapter.prepare(picture(), "?")
    whole = adapter.encode(prompt, needs).attention
    monkeypatch.setattr(qwen_encoder, "MAX_ATTENTION", 1000)
    assert qwen_encoder.rows_at_once(torch.empty(1, 60, 8)) == 4
    torch.testing.assert_close(adapter.encode(prompt, needs).attention, whole)


def test_a_limit_of_pixels_resizes_larger_pictures_and_stands_in_the_conditions() -> None:
    limited = tiny_qwen2_5_vl().limited(2048)
    assert len(limited.prepare(picture(120, 120), "?").layout) <= 2048 // 16**2
    assert limited.conditions["pixels"] == "at most 2,048"
    assert "pixels" not in limited.limited(0).conditions
