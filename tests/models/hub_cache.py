"""Fills a test folder like the cache of the hub's client, with tiny models."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from huggingface_hub import constants

from models.catalog import ModelCard
from models.engine.base import Adapter
from models.shapes import SHAPES
from tests.tiny import tiny_llava, tiny_onevision, tiny_qwen2_5_vl, tiny_qwen3_vl

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TINY = {
    "llava-1.5-7b": tiny_llava,
    "llava-onevision-0.5b": tiny_onevision,
    "qwen2.5-vl-3b": tiny_qwen2_5_vl,
    "qwen3-vl-8b": tiny_qwen3_vl,
}


def give_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points the hub's client to a folder, and replaces shapes by those of tiny models."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    for name, model in TINY.items():
        monkeypatch.setitem(SHAPES, name, lambda model=model: deepcopy(model().model.config))


def fetch(folder: Path, card: ModelCard, adapter: Adapter, shard: str = "1GB") -> Path:
    """Writes a model as `hf download` does: blobs, links to them, and the commit."""
    repository = folder / f"models--{card.source.replace('/', '--')}"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / COMMIT
    adapter.model.save_pretrained(blobs, max_shard_size=shard)
    for part in (adapter.tokenizer, adapter.processor):
        part.save_pretrained(blobs)
    as_published(blobs)
    snapshot.mkdir(parents=True)
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(Path("../../blobs") / blob.name)
    (repository / "refs").mkdir()
    (repository / "refs" / card.revision).write_text(COMMIT)
    return snapshot


def as_published(blobs: Path) -> None:
    """Moves the chat template to chat_template.json, as in the repositories of LLaVA."""
    template = (blobs / "chat_template.jinja").read_text()
    (blobs / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    (blobs / "chat_template.jinja").unlink()
