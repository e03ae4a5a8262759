"""Models by name, loaded as any checkpoint is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import catalog
from models.pipeline import run_lane
from pruning.methods import create
from tests.tiny import clip, picture, tiny_llava, tiny_onevision

SAVED = {
    "embedded-image": (tiny_llava, picture()),
    "embedded-video": (tiny_onevision, clip()),
}
each_model = pytest.mark.parametrize("name", SAVED)


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny models on disk, where the embedded ones are looked for."""
    for name, (model, _) in SAVED.items():
        adapter = model()
        for part in (adapter.model, adapter.tokenizer, adapter.processor):
            part.save_pretrained(tmp_path / catalog.find(name).source)
    monkeypatch.setattr(catalog, "ROOT", tmp_path)


@each_model
def test_a_checkpoint_comes_back_as_it_was_saved(checkpoints: None, name: str) -> None:
    loaded, (model, media) = catalog.load(name, device="cpu"), SAVED[name]
    assert loaded.conditions == {"device": "CPU", "dtype": "float32", "attention": "sdpa"}
    answers = []
    for adapter in (model(), loaded):
        steps = run_lane(adapter, media, "What is this?", create("vanilla"), max_new_tokens=6)
        answers.append(list(steps)[-1].answer)
    assert answers[0] == answers[1]


@each_model
def test_a_model_takes_what_its_card_says(checkpoints: None, name: str) -> None:
    assert catalog.load(name, device="cpu").media == catalog.find(name).media


@each_model
def test_half_precision_keeps_the_rotary_frequencies_whole(checkpoints: None, name: str) -> None:
    loaded = catalog.load(name, device="cpu", dtype="bfloat16")
    rotary, (model, _) = loaded.decoder.model.rotary_emb, SAVED[name]
    assert loaded.conditions["dtype"] == "bfloat16"
    assert rotary.inv_freq.dtype == torch.float32
    assert torch.equal(rotary.inv_freq, model().decoder.model.rotary_emb.inv_freq)


def test_a_model_comes_with_the_guide_that_its_card_names(
    checkpoints: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided = replace(catalog.find("embedded-image"), name="guided", guide="embedded-video")
    monkeypatch.setattr(catalog, "CATALOG", (*catalog.CATALOG, guided))
    loaded = catalog.load("guided", device="cpu")
    assert loaded.guide.media == catalog.find("embedded-video").media
    assert loaded.guide.guide is None


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="no model 'gpt'; there is embedded-image, embedded-video"):
        catalog.load("gpt")


@each_model
def test_missing_weights_are_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=f"has no weights in {catalog.find(name).source}"):
        catalog.load(name)


def test_listing_the_models_imports_nothing_heavy() -> None:
    code = "import sys, models.catalog; print({'torch', 'transformers'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
