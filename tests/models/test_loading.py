"""Loading the model of a card: from a checkpoint, or with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models import memory, recipes, weights
from models.catalog import find
from models.engine.pipeline import run_lane
from models.loading import load
from models.shapes import SHAPES
from models.uploads.media import Media
from pruning.methods import create
from tests.models import hub_cache
from tests.tiny import clip, picture, tiny_llava, tiny_onevision, tiny_qwen2_5_vl, tiny_qwen3_vl

SAVED = {
    "embedded-image": (tiny_llava, picture()),
    "embedded-video": (tiny_onevision, clip()),
    "llava-1.5-7b": (tiny_llava, picture()),
    "llava-onevision-0.5b": (tiny_onevision, clip()),
    "qwen2.5-vl-3b": (tiny_qwen2_5_vl, clip()),
    "qwen3-vl-8b": (tiny_qwen3_vl, picture()),
}
UPLOADS = [
    ("llava-1.5-7b", picture()),
    ("llava-onevision-0.5b", picture()),
    ("llava-onevision-0.5b", clip()),
    ("qwen2.5-vl-3b", picture()),
    ("qwen2.5-vl-3b", clip()),
    ("qwen3-vl-8b", picture()),
]
each_model = pytest.mark.parametrize("name", SAVED)
each_upload = pytest.mark.parametrize(("name", "upload"), UPLOADS)


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny models on disk: in place of the embedded ones, and in the hub's cache."""
    hub_cache.give_cache(tmp_path, monkeypatch)
    monkeypatch.setattr(weights, "ROOT", tmp_path)
    for name, (model, _) in SAVED.items():
        adapter, card = model(), find(name)
        if card.revision:
            hub_cache.fetch(tmp_path, card, adapter, shard="200kB")
        else:
            for part in (adapter.model, adapter.tokenizer, adapter.processor):
                part.save_pretrained(tmp_path / card.source)


@each_model
def test_a_checkpoint_comes_back_as_it_was_saved(checkpoints: None, name: str) -> None:
    loaded, (model, media) = load(name, device="cpu"), SAVED[name]
    assert loaded.conditions == {"device": "CPU", "dtype": "float32", "attention": "sdpa"}
    assert loaded.media == find(name).media
    answers = []
    for adapter in (model(), loaded):
        steps = run_lane(adapter, media, "What is this?", create("vanilla"), max_new_tokens=6)
        answers.append(list(steps)[-1].answer)
    assert answers[0] == answers[1]


@each_model
def test_half_precision_keeps_the_rotary_frequencies_whole(checkpoints: None, name: str) -> None:
    loaded = load(name, device="cpu", dtype="bfloat16")
    rotary, (model, _) = loaded.decoder.model.rotary_emb, SAVED[name]
    assert loaded.conditions["dtype"] == "bfloat16"
    assert rotary.inv_freq.dtype == torch.float32
    assert torch.equal(rotary.inv_freq, model().decoder.model.rotary_emb.inv_freq)


def test_pickled_weights_are_not_read(checkpoints: None) -> None:
    found = weights.find_folder(find("embedded-image"))
    torch.save(tiny_llava().model.state_dict(), found / "pytorch_model.bin")
    (found / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="has no weights"):
        load("embedded-image", device="cpu")
    family = recipes.FAMILIES["llava"](find("embedded-image"))
    with pytest.raises(OSError, match="safetensors"):
        family.read(found, "float32")


@pytest.mark.parametrize("renamed", ["image_newline.old", "model.extra"])
def test_weights_that_leave_a_tensor_random_or_over_are_refused(
    checkpoints: None, renamed: str
) -> None:
    file = weights.find_folder(find("embedded-video")) / "model.safetensors"
    tensors = load_file(file)
    if renamed == "image_newline.old":
        name = next(name for name in tensors if name.endswith("image_newline"))
        tensors[renamed] = tensors.pop(name)
        sentence = r"cannot be read \(the weights lack model.image_newline\); check it out again"
    else:
        tensors[renamed] = torch.ones(1)
        sentence = r"cannot be read \(the weights hold unknown model.extra\)"
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ValueError, match=sentence):
        load("embedded-video", device="cpu")


def test_buffers_that_older_checkpoints_hold_are_left_out(checkpoints: None) -> None:
    file = weights.find_folder(find("embedded-image")) / "model.safetensors"
    old = {"model.vision_tower.embeddings.position_ids": torch.arange(37)[None]}
    save_file(load_file(file) | old, file, {"format": "pt"})
    load("embedded-image", device="cpu")


def test_an_unknown_dtype_is_refused_with_the_list_of_dtypes() -> None:
    with pytest.raises(ValueError, match="dtype is 'int8'; choose one of float32, float16, bf"):
        load("embedded-image", device="cpu", dtype="int8")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta:x"])
def test_a_missing_device_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"no device '{device}' here; leave TOKENSCOPE_DEVICE em"):
        load("embedded-image", device=device)


@each_upload
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_shape_without_weights_runs_and_is_as_large_as_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, upload: Media, dtype: str
) -> None:
    hub_cache.give_cache(tmp_path, monkeypatch)  # which stays empty
    adapter = load(f"{name}@random", device="cpu", dtype=dtype)
    assert adapter.media == find(name).media and adapter.conditions["dtype"] == dtype
    assert adapter.model.num_parameters() == hub_cache.TINY[name]().model.num_parameters()
    assert adapter.decoder.model.rotary_emb.inv_freq.dtype == torch.float32
    assert min(adapter.end_ids) >= adapter.model.config.text_config.vocab_size
    for method in ("vanilla", "random"):
        *_, result = run_lane(adapter, upload, "What is this?", create(method), max_new_tokens=20)
        assert result.new_tokens == 20, "nothing ends by chance"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["llava-1.5-7b", "llava-onevision-7b"])
def test_a_large_random_model_runs_in_the_estimated_memory(name: str) -> None:
    card, config = find(name), SHAPES[name]()
    torch.cuda.reset_peak_memory_stats()
    adapter = load(f"{name}@random", device="cuda")
    for method in ("vanilla", "fastv", "visionzip"):
        run = create(method, **({} if method == "vanilla" else {"retention_ratio": 1 / 3}))
        *_, result = run_lane(adapter, picture(900, 1300), "What is this?", run, max_new_tokens=8)
        assert result.new_tokens == 8
    estimate = memory.estimate(config, card.tokens, "bfloat16")
    assert estimate.weights <= torch.cuda.max_memory_allocated() <= estimate.total
