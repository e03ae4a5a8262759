"""LLaVA: prompts equal those of stock transformers, and tokens lie at the right places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlavaProcessor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from models.engine.separators import raster_places
from models.families.llava import LlavaAdapter
from pruning.tokens import TokenLayout
from tests.tiny import picture, tiny_llava


def test_ids_are_those_of_the_stock_processor(adapter: LlavaAdapter) -> None:
    stock = LlavaProcessor(
        adapter.processor,
        adapter.tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=adapter.tokenizer.chat_template,
        num_additional_image_tokens=1,
    )
    content = [{"type": "image"}, {"type": "text", "text": "Where is it?"}]
    turn = [{"role": "user", "content": content}]
    text = stock.apply_chat_template(turn, add_generation_prompt=True)
    expected = stock(
        Image.new("RGB", (48, 48)), text, return_tensors="pt", add_special_tokens=False
    ).input_ids[0]
    prompt = adapter.prepare(picture(), "Where is it?")
    picture_ids = torch.full((36,), adapter.model.config.image_token_id)
    assert torch.cat([prompt.before, picture_ids, prompt.after]).tolist() == expected.tolist()


@pytest.mark.parametrize("shape", [(48, 48), (60, 90), (91, 60), (7, 300)])
def test_pixels_are_those_of_the_padding_processor(
    adapter: LlavaAdapter, shape: tuple[int, int]
) -> None:
    media = picture(*shape)
    stock = LlavaImageProcessorPil(
        do_pad=True, size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}
    )
    expected = stock(Image.fromarray(media.frames[0]), return_tensors="pt").pixel_values
    assert torch.equal(adapter.prepare(media, "?").pixels, expected)


def test_a_huge_picture_is_shrunk_before_it_is_padded(adapter: LlavaAdapter) -> None:
    prompt = adapter.prepare(picture(5, 9000), "?")
    left, top, right, bottom = prompt.region
    assert (left, right) == (0, 1)
    assert bottom - top == pytest.approx(4096 / round(5 * 4096 / 9000))


def test_places_count_only_tokens_that_have_one() -> None:
    layout = TokenLayout.regular(1, 2, 2, placeless=1)
    assert raster_places(layout, torch.tensor([0, 4, -1, 1])).tolist() == [-1, 3, -1, 0]
    assert np.isnan(layout.box[0]).all()


def test_features_of_cls_are_refused() -> None:
    adapter = tiny_llava()
    config = adapter.model.config
    config.vision_feature_select_strategy = "full"
    try:
        with pytest.raises(ValueError, match="selects 'full' features"):
            LlavaAdapter(adapter.model, adapter.tokenizer, adapter.processor)
    finally:
        config.vision_feature_select_strategy = "default"
