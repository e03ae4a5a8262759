"""Weights are found in the hub's cache, or one sentence gives the command to download them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models import weights
from models.catalog import CATALOG, find
from models.loading import load
from tests.models import hub_cache
from tests.models.hub_cache import COMMIT
from tests.tiny import tiny_llava

CARD = find("llava-1.5-7b")
COMMAND = "`python -m app fetch llava-1.5-7b`"


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a tiny model in several files, under the name of a large one."""
    hub_cache.give_cache(tmp_path, monkeypatch)
    return hub_cache.fetch(tmp_path, CARD, tiny_llava(), shard="200kB")


def refusal() -> str:
    """The error message of loading."""
    with pytest.raises(ValueError) as refused:
        load(CARD.name, device="cpu")
    message = str(refused.value)
    assert "\n" not in message and len(message) < 300
    return message


def test_a_snapshot_in_the_cache_is_found_at_its_commit(snapshot: Path) -> None:
    assert weights.find_folder(CARD) == snapshot and weights.is_downloaded(CARD)
    assert weights.snapshot_commit(str(snapshot)) == f"llava-hf/llava-1.5-7b-hf at {COMMIT}"


def test_a_path_outside_the_cache_has_no_commit(tmp_path: Path) -> None:
    assert weights.snapshot_commit(str(tmp_path)) == weights.snapshot_commit("") == ""


def test_missing_weights_are_refused_with_the_command_to_download_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache.give_cache(tmp_path, monkeypatch)
    assert refusal() == f"LLaVA-1.5 7B is not on this machine; fetch it with {COMMAND}."
    assert not weights.is_downloaded(CARD)


def test_the_environment_sets_the_place_of_the_cache(snapshot: Path) -> None:
    code = (
        "from models.catalog import find; from models.weights import find_folder;"
        f"print(find_folder(find({CARD.name!r})))"
    )
    moved = {"HF_HUB_CACHE": str(snapshot.parents[2]), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | moved,
    )
    assert ran.stdout.strip() == str(snapshot)


def test_a_gated_repository_asks_for_consent_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache.give_cache(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"accepting its terms at .*7b-hf and `hf auth login`"):
        weights.find_folder(replace(CARD, gated=True))


def test_another_revision_is_not_used_instead(snapshot: Path) -> None:
    revision = "f" * 40
    with pytest.raises(ValueError, match=f"another revision than {revision}; fetch"):
        weights.find_folder(replace(CARD, revision=revision))


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def replace_by(text: str) -> Callable[[Path], None]:
    def replaced(path: Path) -> None:
        path.unlink()
        path.write_text(text)

    return replaced


@pytest.mark.parametrize(
    ("name", "harm", "sentence"),
    [
        ("model-00002-of-*", Path.unlink, "without model-00002-of-.*; fetch the rest"),
        ("tokenizer_config.json", Path.unlink, "partly here, without tokenizer_config.json"),
        ("model.safetensors.index.json", replace_by("{"), "partly here, without model.saf"),
        ("model-00001-of-*", cut, r"model-00001-of-\S+ of LLaVA-1.5 7B is damaged \(.*again"),
        ("model-00001-of-*", replace_by("version https://git-lfs"), "is damaged"),
        ("config.json", replace_by("{"), "config.json of LLaVA-1.5 7B is damaged; fetch"),
        ("config.json", replace_by("{}"), "is a none, wanted a LlavaForCond"),
        (
            "config.json",
            replace_by('{"architectures": ["LlamaForCausalLM"]}'),
            "is a LlamaForCausalLM, wanted a LlavaForConditionalGeneration",
        ),
        ("tokenizer.json", replace_by("{"), "cannot be read"),
        ("preprocessor_config.json", replace_by("{"), "cannot be read"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else value.__qualname__,
)
def test_a_broken_download_is_refused_with_one_sentence(
    snapshot: Path, name: str, harm: Callable[[Path], None], sentence: str
) -> None:
    (path,) = snapshot.glob(name)
    harm(path)
    with pytest.raises(ValueError, match=sentence):
        load(CARD.name, device="cpu")
    assert refusal()


def test_missing_embedded_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "ROOT", tmp_path)
    for card in CATALOG[:2]:
        with pytest.raises(ValueError, match=f"has no weights in {card.source}; check them out"):
            load(card.name)
