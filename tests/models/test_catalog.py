"""Models by name, loaded as any checkpoint is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models import catalog
from models.pipeline import run_lane
from pruning.methods import create
from tests.tiny import picture, tiny_llava


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model on disk, where the embedded one is looked for."""
    folder = tmp_path / catalog.find("embedded-image").source
    adapter = tiny_llava()
    for part in (adapter.model, adapter.tokenizer, adapter.processor):
        part.save_pretrained(folder)
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    return folder


def test_a_checkpoint_comes_back_as_it_was_saved(checkpoint: Path) -> None:
    loaded = catalog.load("embedded-image", device="cpu")
    assert loaded.conditions == {"device": "CPU", "dtype": "float32", "attention": "sdpa"}
    answers = []
    for adapter in (tiny_llava(), loaded):
        steps = run_lane(adapter, picture(), "What is this?", create("vanilla"), max_new_tokens=6)
        answers.append(list(steps)[-1].answer)
    assert answers[0] == answers[1]


def test_half_precision_keeps_the_rotary_frequencies_whole(checkpoint: Path) -> None:
    loaded = catalog.load("embedded-image", device="cpu", dtype="bfloat16")
    rotary = loaded.decoder.model.rotary_emb
    assert loaded.conditions["dtype"] == "bfloat16"
    assert rotary.inv_freq.dtype == torch.float32
    assert torch.equal(rotary.inv_freq, tiny_llava().decoder.model.rotary_emb.inv_freq)


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"There is no model 'gpt'; there is embedded-image"):
        catalog.load("gpt")


def test_missing_weights_are_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="has no weights in assets/embedded/image"):
        catalog.load("embedded-image")


def test_listing_the_models_imports_nothing_heavy() -> None:
    code = "import sys, models.catalog; print({'torch', 'transformers'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
