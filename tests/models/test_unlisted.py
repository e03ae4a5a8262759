"""A folder, or a repository that is here, becomes a model by its config.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from transformers.models.qwen3_5.configuration_qwen3_5 import Qwen3_5Config

from models import catalog
from models.catalog import find
from models.loading import load
from models.unlisted import adopt
from pruning.methods import create
from tests.models.hub import save_llava, save_onevision
from tests.tiny import clip, picture, prefilled


@pytest.fixture(autouse=True)
def none_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "ADOPTED", {})


@pytest.mark.parametrize(
    ("save", "family", "upload"),
    [
        (save_llava, "llava", picture()),
        (partial(save_onevision, tied=True), "llava-onevision", clip()),
    ],
    ids=["llava", "onevision"],
)
def test_a_folder_is_a_model_of_the_family_that_its_config_names(
    save: Callable[[Path], Any], family: str, upload: Any, tmp_path: Path
) -> None:
    save(tmp_path)
    card = adopt(str(tmp_path))
    assert (card.family, card.title) == (family, tmp_path.name)
    assert find(card.name) == card, "requests may name it now"
    lane = prefilled(load(card.name, "cpu"), create("vanilla"), upload)
    assert 0 < len(lane.prompt.layout) <= card.tokens


def test_a_request_cannot_name_a_folder_that_nobody_adopted(tmp_path: Path) -> None:
    save_llava(tmp_path)
    with pytest.raises(ValueError, match="There is no model"):
        find(str(tmp_path))


def test_a_listed_repository_is_the_listed_model() -> None:
    assert adopt("llava-hf/llava-1.5-7b-hf") is find("llava-1.5-7b")


def test_a_model_with_linear_attention_is_refused_with_the_reason(tmp_path: Path) -> None:
    content = Qwen3_5Config().to_dict() | {"architectures": ["Qwen3_5ForConditionalGeneration"]}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"layers of linear attention, which do not keep keys"):
        adopt(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "config.json of .* is damaged"),
        ("{}", "is a no architecture; known are Llava"),
        ('{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}', "is a GPT2LMHeadModel"),
    ],
)
def test_another_config_is_refused_in_one_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=sentence) as refused:
        adopt(str(tmp_path))
    assert "\n" not in str(refused.value)
