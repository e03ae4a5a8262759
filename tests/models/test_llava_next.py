"""Checkpoints of LLaVA-NeXT: every tensor is loaded, or refused by name."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaOnevisionForConditionalGeneration
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from models import loading
from models.catalog import find
from models.checkpoints.llava_next import (
    TOWERS,
    load_original,
    new_processor,
    parse_pinpoints,
    translate_config,
)
from models.engine.pipeline import run_lane
from models.families.chat import load_tokenizer
from models.families.llava_video import LlavaVideoAdapter
from models.loading import load_card
from pruning.methods import create
from tests.models.hub import PINPOINTS
from tests.models.llava_next import CONFIG, TOWER, original_tensors, save_original
from tests.models.test_exactness import assert_equal
from tests.tiny import clip, picture


@pytest.fixture(autouse=True)
def tiny_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOWERS, "siglip-tiny", TOWER)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return original_tensors()


def test_every_tensor_lands_bit_for_bit(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_original(tmp_path, tensors)
    model = load_original(tmp_path, "float32")
    inner = model.model
    parts = {
        "model.vision_tower.vision_tower.vision_model.": inner.vision_tower,
        "model.mm_projector.0.": inner.multi_modal_projector.linear_1,
        "model.mm_projector.2.": inner.multi_modal_projector.linear_2,
        "model.": inner.language_model,
        "lm_head.": model.lm_head,
    }
    landed = {"model.image_newline": inner.image_newline}
    for prefix, part in parts.items():
        landed |= {prefix + name: tensor for name, tensor in part.state_dict().items()}
    dropped = tensors.keys() - landed.keys()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in landed.items())
    assert len(landed) == len(model.state_dict())
    tower = "model.vision_tower.vision_tower.vision_model."
    assert all(name.startswith((tower + "head.", tower + "encoder.layers.3.")) for name in dropped)
    assert any("layers.3." in name for name in dropped) and any("head." in name for name in dropped)


def test_unused_tensors_are_logged(
    tensors: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_original(tmp_path, tensors)
    with caplog.at_level(logging.INFO, "models.checkpoints.llava_next"):
        load_original(tmp_path, "float32")
    assert "vision_model.encoder.layers.3.mlp.fc1.weight" in caplog.text
    assert "layers.2." not in caplog.text


def test_a_tower_cut_to_its_used_layers_loads_too(tmp_path: Path) -> None:
    tensors = original_tensors(layers=3)
    headless = {name: tensor for name, tensor in tensors.items() if ".head." not in name}
    save_original(tmp_path, headless)
    assert load_original(tmp_path, "float32").config.vision_config.num_hidden_layers == 3


@pytest.mark.parametrize(
    ("name", "tensor", "sentence"),
    [
        (name, None, rf"lacks model\.\S*{end}: it is incomplete")
        for name, end in (
            ("model.layers.1.mlp.up_proj.weight", "weight"),
            ("model.image_newline", "image_newline"),
            ("model.mm_projector.2.bias", "bias"),
        )
    ]
    + [
        (name, torch.zeros(1), f"holds {name}; LLaVA-Video has no such tensor")
        for name in ("model.faster_token", "model.vision_resampler.query", "x")
    ]
    + [("model.norm.weight", torch.zeros(65), r"model\.norm\.weight is \(65,\), wanted \(64,\)")],
    ids=str,
)
def test_a_missing_unknown_or_misshapen_tensor_is_refused_by_name(
    name: str, tensor: Tensor | None, sentence: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    kept = {each: value for each, value in tensors.items() if each != name}
    save_original(tmp_path, kept if tensor is None else {**kept, name: tensor})
    with pytest.raises(ValueError, match=sentence):
        load_original(tmp_path, "float32")


def test_a_missing_shard_is_refused_by_name(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_original(tmp_path, tensors)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks model-00002-of-00002\.safetensors; download"):
        load_original(tmp_path, "float32")
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(ValueError, match=r"lacks model\.safetensors; download"):
        load_original(tmp_path, "float32")


def test_tied_embeddings_need_no_head(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    del tensors["lm_head.weight"]
    save_original(tmp_path, tensors, tie_word_embeddings=True)
    model = load_original(tmp_path, "float32")
    assert torch.equal(model.lm_head.weight, tensors["model.embed_tokens.weight"])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("pool", ["average", "bilinear"])
@pytest.mark.parametrize("media", [picture(), clip()], ids=lambda media: media.kind)
def test_vanilla_is_generate_on_a_checkpoint_of_the_original_layout(
    dtype: str, pool: str, media: Any, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    save_original(tmp_path, tensors, mm_spatial_pool_mode=pool)
    model = load_original(tmp_path, dtype)
    adapter = LlavaVideoAdapter(model, load_tokenizer(tmp_path), new_processor(model.config))
    assert_equal(adapter, media)
    assert adapter.end_ids == {258, 256}
    assert model.dtype == getattr(torch, dtype)
    assert adapter.decoder.model.rotary_emb.inv_freq.dtype == torch.float32


def test_a_checkpoint_of_the_original_layout_is_loaded_by_its_card(
    tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_original(tmp_path, tensors)
    monkeypatch.setattr(loading, "config_of", lambda card: translate_config(CONFIG))
    card = replace(find("llava-video-7b"), source=str(tmp_path), revision="")
    loaded = load_card(replace(card, tokens=100), "cpu")
    *_, result = run_lane(loaded, clip(), "What moves?", create("vanilla"), max_new_tokens=2)
    assert result.trace.layout.num_placed == 8 * 4, "eight frames of 2 x 2 pooled tokens"
    assert loaded.model.name_or_path == str(tmp_path)


def test_rotary_frequencies_are_those_of_the_config(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    save_original(tmp_path, tensors)
    frequencies = load_original(tmp_path, "bfloat16").model.language_model.rotary_emb.inv_freq
    assert torch.allclose(frequencies, 1e6 ** -(torch.arange(0, 16, 2) / 16))


def test_pixels_are_siglip_s(tensors: dict[str, Tensor]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (30, 50, 3)).astype(np.uint8)
    siglip = SiglipImageProcessorPil(size={"height": 43, "width": 43})
    expected = siglip(Image.fromarray(frame), return_tensors="pt").pixel_values[0]
    ours = new_processor(translate_config(CONFIG))
    pixels = ours(Image.fromarray(frame), return_tensors="pt").pixel_values[0]
    assert torch.equal(pixels[0], expected)


def test_the_config_of_the_published_size_is_translated_whole() -> None:
    published = {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
    }
    config = translate_config(CONFIG | published)
    with torch.device("meta"):
        model = LlavaOnevisionForConditionalGeneration(config)
    billions = sum(tensor.numel() for tensor in model.parameters()) / 1e9
    assert billions == pytest.approx(8.03, abs=0.005)
    assert config.text_config.rope_parameters["rope_theta"] == 1e6
    assert config.image_token_id < config.video_token_id < 152064


def test_missing_settings_have_the_official_defaults() -> None:
    silent = {
        key: value
        for key, value in CONFIG.items()
        if key
        not in (
            "mm_spatial_pool_mode",
            "mm_newline_position",
            "add_time_instruction",
            "add_faster_video",
        )
    }
    config = translate_config(silent | {"mm_spatial_pool_stride": None})
    assert (config.mm_spatial_pool_mode, config.mm_spatial_pool_stride) == ("bilinear", 2)
    assert (config.mm_newline_position, config.add_time_instruction) == ("one_token", False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mm_spatial_pool_mode": "max"}, "mm_spatial_pool_mode 'max', wanted 'bilinear' or"),
        ({"mm_spatial_pool_stride": 9}, "mm_spatial_pool_stride 9, wanted 2"),
        ({"mm_newline_position": "column"}, "mm_newline_position 'column', wanted 'one_token'"),
        ({"add_faster_video": True}, "add_faster_video True, wanted False"),
        ({"mm_resampler_type": "qformer"}, "mm_resampler_type 'qformer', wanted None"),
        ({"mm_projector_type": "linear"}, "mm_projector_type 'linear', wanted 'mlp2x_gelu'"),
        ({"mm_patch_merge_type": "flat"}, "mm_patch_merge_type 'flat', wanted 'spatial_unpad'"),
        ({"mm_vision_tower": "openai/clip"}, "mm_vision_tower 'clip', wanted 'siglip-so400m"),
        ({"architectures": ["LlavaLlamaForCausalLM"]}, "wanted .'LlavaQwenForCausalLM'."),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling .*, wanted None"),
        ({"use_sliding_window": True}, "use_sliding_window True, wanted False"),
        ({"image_aspect_ratio": "pad"}, "image_aspect_ratio 'pad', wanted anyres_max_9"),
        ({"image_grid_pinpoints": "all"}, "image_grid_pinpoints 'all', wanted a list of sizes"),
    ],
)
def test_a_value_without_translation_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        translate_config(CONFIG | change)


def test_an_incomplete_config_is_refused_with_the_missing_keys() -> None:
    short = {key: value for key, value in CONFIG.items() if key != "rope_theta"}
    with pytest.raises(ValueError, match=r"config\.json lacks rope_theta"):
        translate_config(short)


def test_a_span_of_crops_is_all_sizes_between() -> None:
    assert parse_pinpoints("(1x1),...,(2x2)", 43) == PINPOINTS
    assert parse_pinpoints(PINPOINTS, 43) is PINPOINTS
    assert len(parse_pinpoints("(1x1),...,(6x6)", 384)) == 36
