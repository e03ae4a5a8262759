"""LLaVA-OneVision: tokens equal stock's, signals have the same order, boxes cover the patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.engine.base import Prompt
from models.families.llava_onevision import LlavaOnevisionAdapter
from models.uploads.media import Media
from pruning.base import Needs
from pruning.methods import create
from pruning.tokens import VisualTokens
from tests.tiny import clip, picture, prefilled, tiny_onevision

SIGNALS = Needs(
    encoder=frozenset({"attention", "keys", "frames", "cls", "text"}), encoder_span=(0.5, 1)
)
UPLOADS = (picture(), picture(86, 86), picture(200, 30), picture(1, 500), clip(), clip(1))
each_upload = pytest.mark.parametrize("media", UPLOADS, ids=lambda media: str(media.frames.shape))


def encoded(
    media: Media, needs: Needs = SIGNALS, most_crops: int = 9
) -> tuple[Prompt, VisualTokens]:
    adapter = tiny_onevision(most_crops=most_crops)
    with torch.inference_mode():
        prompt = adapter.prepare(media, "What is this?")
        return prompt, adapter.encode(prompt, needs)


@torch.inference_mode()
def arranged(prompt: Prompt, maps: Tensor, most_crops: int = 9) -> Tensor:
    """Patches (B, n, C) as tokens (N, C), by the functions of the stock model."""
    model = tiny_onevision().model.model
    if prompt.kind == "video":
        return model.apply_pooling(maps).flatten(0, 1)
    ratio = f"anyres_max_{most_crops}"
    return model.pack_image_features([maps], [prompt.size], vision_aspect_ratio=ratio)[0][0]


@torch.inference_mode()
def stock_tower(prompt: Prompt) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    tower = tiny_onevision(kernel="eager").model.model.vision_tower
    stock = tower(prompt.pixels, output_hidden_states=True, output_attentions=True)
    return stock.hidden_states, stock.attentions


@each_upload
@pytest.mark.parametrize("most_crops", [1, 9])
def test_tokens_and_newlines_are_those_of_the_stock_model(media: Media, most_crops: int) -> None:
    adapter = tiny_onevision(most_crops=most_crops)
    prompt, visual = encoded(media, Needs(), most_crops)
    lane, inner = prefilled(adapter, create("vanilla"), media), adapter.model.model
    with torch.inference_mode():
        pixels = adapter.stock_pixels(prompt)
        video = prompt.kind == "video"
        stock = (inner.get_video_features if video else inner.get_image_features)(**pixels)
    expected = stock.pooler_output[0]  # (N + R, D)
    start = len(prompt.before)
    rows = lane.sequence.embeds[start : start + len(expected)]
    assert torch.equal(rows, expected)
    newlines = (expected == inner.image_newline).all(dim=1)
    assert newlines.sum() == len(prompt.separators)
    assert (start + (~newlines).nonzero().squeeze(1)).tolist() == lane.sequence.visual.tolist()
    assert torch.equal(visual.features, expected[~newlines])


@each_upload
def test_signals_are_those_of_the_layer_that_yields_the_features(media: Media) -> None:
    prompt, visual = encoded(media)
    hidden, attentions = stock_tower(prompt)
    layer = tiny_onevision().model.model.vision_tower.encoder.layers[-1]
    with torch.inference_mode():
        keys = layer.self_attn.k_proj(layer.layer_norm1(hidden[-2]))
    received = attentions[-1].mean(dim=(1, 2))[..., None]  # over heads and queries
    assert (visual.attention - arranged(prompt, received).squeeze(1)).abs().max() < 1e-6
    assert torch.allclose(visual.keys, arranged(prompt, keys), atol=1e-5)
    for ours, state in zip(visual.hidden, hidden[2:], strict=True):
        assert torch.allclose(ours, arranged(prompt, state), atol=1e-5)
    seen = hidden[-1] if prompt.kind == "video" else hidden[-1][:1]  # the base view is the frame
    assert torch.allclose(visual.frames, seen.mean(dim=1), atol=1e-5)
    assert visual.key_heads == 4
    assert visual.layout.placed.all()  # there is no [CLS] to give


@pytest.mark.parametrize("most_crops", [1, 9])
@each_upload
def test_a_box_contains_the_centre_of_its_tokens_patches(media: Media, most_crops: int) -> None:
    prompt, _ = encoded(media, Needs(), most_crops)
    middles = arranged(prompt, patch_middles(prompt, media), most_crops).numpy()  # (N, 2)
    box = prompt.layout.box
    assert (box[:, :2] < middles).all() and (middles < box[:, 2:]).all()


@pytest.mark.parametrize("most_crops", [1, 9])
@pytest.mark.parametrize("size", [(60, 90), (90, 60), (86, 86)], ids=str)
def test_a_token_belongs_to_the_crop_that_most_of_it_is_cut_from(
    size: tuple[int, int], most_crops: int
) -> None:
    prompt, _ = encoded(picture(*size), Needs(), most_crops)
    views = len(prompt.pixels)
    own = torch.eye(views)[:, None].expand(-1, 25, -1)  # (B, n, B)
    shares = arranged(prompt, own, most_crops)  # (N, B)
    chosen = shares[torch.arange(len(shares)), torch.from_numpy(prompt.layout.view)]
    assert (chosen >= shares.amax(dim=1) - 1e-6).all()
    assert set(prompt.layout.view.tolist()) == set(range(views))


def patch_middles(prompt: Prompt, media: Media) -> Tensor:
    """(B, 25, 2) x and y of the middle of each patch, as fractions of the upload."""
    offsets = torch.arange(5) * 8 + 4.0  # pixels into a view of 43
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    view = torch.stack([x, y], dim=-1).view(1, 25, 2)
    if prompt.kind == "video":
        return (view / 43).expand(len(media.frames), -1, -1)
    height, width = prompt.size
    down, across = grid_of_crops(prompt)
    scale = min(down * 43 / height, across * 43 / width)
    drawn = torch.tensor([np.ceil(width * scale - 1e-9), np.ceil(height * scale - 1e-9)])
    padding = (torch.tensor([across, down]) * 43 - drawn) // 2
    corners = torch.tensor([[[col, row]] for row in range(down) for col in range(across)]) * 43
    return torch.cat([view / 43, (corners + view - padding) / drawn]).float()


def grid_of_crops(prompt: Prompt) -> tuple[int, int]:
    """Crops down and across: the enlargement that shows most, and of those the smallest."""
    height, width = prompt.size
    best = []
    for down, across in ((1, 1), (1, 2), (2, 1), (2, 2)):
        scale = min(down * 43 / height, across * 43 / width)
        shown = min(int(height * scale) * int(width * scale), height * width)
        best.append((-shown, down * across, down, across))
    _, count, down, across = min(best)
    assert count == len(prompt.pixels) - 1
    return down, across


def test_a_picture_is_covered_once_by_the_base_view_and_once_by_its_crops() -> None:
    prompt, _ = encoded(picture(86, 86), Needs())
    box = prompt.layout.box
    assert box[:25].min() == 0
    assert box[:25].max() == pytest.approx(40 / 43)  # whole patches end there
    sides = box[25:, 2:] - box[25:, :2]
    assert sides.prod(axis=1).sum() == pytest.approx(1)
    assert (box[25:, :2].min(), box[25:, 2:].max()) == (0, 1)


def test_frames_of_a_clip_lie_on_one_grid_in_their_order() -> None:
    prompt, _ = encoded(clip(), Needs())
    assert prompt.layout.grid == (8, 3, 3)
    assert prompt.layout.frame.tolist() == np.repeat(np.arange(8), 9).tolist()
    assert prompt.separators.tolist() == [72]
    assert np.array_equal(prompt.layout.box[:9], prompt.layout.box[-9:])


def test_frames_are_prepared_as_the_stock_processor_prepares_a_base_view() -> None:
    adapter, media = tiny_onevision(), clip(3)
    stock = [
        adapter.processor(Image.fromarray(frame), return_tensors="pt").pixel_values[0, 0]
        for frame in media.frames
    ]
    assert torch.equal(adapter.prepare(media, "?").pixels, torch.stack(stock))


class AttentionMaps(TorchDispatchMode):
    """Size of the largest tensor whose last two axes are all patches of a view."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **kwargs or {})
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor) and leaf.shape[-2:] == (25, 25):
                self.largest = max(self.largest, leaf.numel())
        return output


@pytest.mark.parametrize(
    "needs", [Needs(encoder=frozenset({"attention"})), Needs(encoder_received=(0, 1))], ids=str
)
def test_attention_is_held_for_one_frame_at_a_time(needs: Needs) -> None:
    adapter = tiny_onevision()
    prompt = adapter.prepare(clip(), "?")
    with torch.inference_mode(), AttentionMaps() as maps:
        adapter.encode(prompt, needs)
    assert maps.largest == 4 * 25 * 25  # heads


@pytest.mark.parametrize(
    ("name", "value"),
    [("vision_feature_select_strategy", "default"), ("vision_feature_layer", [-2, -1])],
)
def test_features_of_several_layers_or_without_the_first_patch_are_refused(
    name: str, value: object
) -> None:
    adapter = tiny_onevision()
    config, stock = adapter.model.config, getattr(adapter.model.config, name)
    setattr(config, name, value)
    try:
        with pytest.raises(ValueError, match="accepted are 'full' features of one layer"):
            LlavaOnevisionAdapter(adapter.model, adapter.tokenizer, adapter.processor)
    finally:
        setattr(config, name, stock)
