"""Checkpoints in the hub's format load completely, and answer like stock transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import LlavaProcessor

from models.catalog import find
from models.engine.base import Adapter
from models.families.chat import tokenize_turn
from models.loading import load_card
from models.uploads.media import Media
from tests.models.hub import PADDED_VOCABULARY, save_llava, save_onevision
from tests.models.test_exactness import assert_equal
from tests.tiny import clip, picture

pytestmark = pytest.mark.slow

CHECKPOINTS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "llava-1.5": ("embedded-image", save_llava),
    "last-layer": ("embedded-image", partial(save_llava, vision_feature_layer=-1)),
    "onevision-7b": ("embedded-video", partial(save_onevision, tied=False)),
    "onevision-0.5b": ("embedded-video", partial(save_onevision, tied=True)),
}
each_checkpoint = pytest.mark.parametrize("name", CHECKPOINTS)


def load(name: str, folder: Path, dtype: str = "float32") -> tuple[Any, Adapter]:
    """The model as it was saved, and its adapter as the loader makes it of the folder."""
    card, save = CHECKPOINTS[name]
    saved = save(folder)
    found = replace(find(card), source=str(folder), media=frozenset({"image", "video"}))
    return saved, load_card(found, "cpu", dtype)


def uploads(adapter: Adapter) -> list[Media]:
    return [media for media in (picture(), clip()) if media.kind in adapter.media]


@each_checkpoint
def test_every_tensor_of_a_checkpoint_lands_and_none_is_left(name: str, tmp_path: Path) -> None:
    saved, adapter = load(name, tmp_path)
    _, found = type(saved).from_pretrained(tmp_path, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"]
    assert not found["mismatched_keys"]
    landed = adapter.model.state_dict()
    assert landed.keys() == saved.state_dict().keys()
    assert all(torch.equal(landed[key], tensor) for key, tensor in saved.state_dict().items())


@each_checkpoint
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vanilla_is_generate_on_a_checkpoint_of_the_hub(
    name: str, dtype: str, tmp_path: Path
) -> None:
    _, adapter = load(name, tmp_path, dtype)
    for media in uploads(adapter):
        assert_equal(adapter, media)


def test_ids_of_llava_are_those_of_its_own_processor(tmp_path: Path) -> None:
    _, adapter = load("llava-1.5", tmp_path)
    stock = LlavaProcessor.from_pretrained(tmp_path)
    content = [{"type": "image"}, {"type": "text", "text": "Where is it?"}]
    text = stock.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    assert text == "USER: <image>\nWhere is it? ASSISTANT:"
    expected = stock(Image.new("RGB", (48, 48)), text, return_tensors="pt").input_ids[0]
    prompt = adapter.prepare(picture(), "Where is it?")
    marked = torch.full((len(prompt.layout),), adapter.model.config.image_token_id)
    assert torch.cat([prompt.before, marked, prompt.after]).tolist() == expected.tolist()
    assert prompt.before[0] == 1  # <s>


@pytest.mark.parametrize("media", [picture(), clip()], ids=lambda media: media.kind)
def test_ids_of_onevision_are_those_of_its_chat_template(media: Media, tmp_path: Path) -> None:
    _, adapter = load("onevision-7b", tmp_path)
    prompt = adapter.prepare(media, "Where is it?")
    raw = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    before, after = (
        raw.encode(text).ids
        for text in ("<|im_start|>user ", "\nWhere is it?<|im_end|><|im_start|>assistant\n")
    )
    assert (prompt.before.tolist(), prompt.after.tolist()) == (before, after)


def test_pictures_are_padded_though_the_checkpoint_would_crop_them(tmp_path: Path) -> None:
    _, adapter = load("llava-1.5", tmp_path)
    assert adapter.processor.do_center_crop
    prompt = adapter.prepare(picture(40, 80), "?")
    assert prompt.region == (0.0, -0.5, 1.0, 1.5)
    assert prompt.pixels.shape == (1, 3, 48, 48)


def test_any_of_several_tokens_ends_an_answer(tmp_path: Path) -> None:
    _, adapter = load("onevision-7b", tmp_path)
    ends = adapter.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert adapter.end_ids == frozenset(ends)


@each_checkpoint
def test_ids_beyond_the_tokenizer_have_no_text(name: str, tmp_path: Path) -> None:
    _, adapter = load(name, tmp_path)
    assert len(adapter.tokenizer) < PADDED_VOCABULARY
    assert adapter.to_text([PADDED_VOCABULARY - 1]) == ""


@each_checkpoint
def test_the_placeholder_in_a_question_is_refused(name: str, tmp_path: Path) -> None:
    _, adapter = load(name, tmp_path)
    with pytest.raises(ValueError, match="contains <image>, a special token of the model"):
        adapter.prepare(uploads(adapter)[0], "Where is <image>?")


def test_a_placeholder_that_is_no_single_token_is_refused(tmp_path: Path) -> None:
    _, adapter = load("llava-1.5", tmp_path)
    with pytest.raises(ValueError, match="gives 0 placeholders for one image, wanted 1 token"):
        tokenize_turn(adapter.tokenizer, "Where?", "image", PADDED_VOCABULARY - 1)


def test_a_checkpoint_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    save_llava(tmp_path)
    (tmp_path / "chat_template.json").unlink()
    card = replace(find("embedded-image"), source=str(tmp_path))
    adapter = load_card(card, "cpu", "float32")
    with pytest.raises(ValueError, match=r"has no chat template; add one to .*chat_template"):
        adapter.prepare(picture(), "Where?")


def test_features_of_several_layers_are_refused(tmp_path: Path) -> None:
    save_llava(tmp_path, vision_feature_layer=[-2, -1])
    card = replace(find("embedded-image"), source=str(tmp_path))
    with pytest.raises(ValueError, match="of one layer"):
        load_card(card, "cpu", "float32")
