"""`python -m app fetch` and `demo --model`: from a hub into the cache, or one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from app.__main__ import main
from models import catalog
from models.unlisted import adopt
from models.weights import find_folder
from tests.models.hub import save_llava
from tests.models.hub_server import serving

NOWHERE = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog, "ADOPTED", {})
    connect(NOWHERE, monkeypatch)


def connect(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points the hub's client to another hub."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A hub with one repository, some of whose files no loading reads: the files read from it."""
    folder = tmp_path / "repository"
    (folder / "onnx").mkdir(parents=True)
    save_llava(folder)
    for name in ("pytorch_model.bin", "consolidated.safetensors", "onnx/config.json", "README.md"):
        (folder / name).write_text("{}")
    with serving("me/my-llava", folder) as (endpoint, asked):
        connect(endpoint, monkeypatch)
        yield asked


def refusal(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(command.split()) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def test_a_repository_of_a_known_family_is_fetched_and_only_what_is_needed(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "me/my-llava"]) == 0
    size, folder = capsys.readouterr().out.splitlines()
    assert size.startswith("my-llava: 0.00 GB") and "from me/my-llava, licence: see" in size
    here = {path.name for path in Path(folder).iterdir()}
    needed = {
        path.name
        for path in (tmp_path / "repository").iterdir()
        if path.suffix in (".json", ".safetensors") and path.name != "consolidated.safetensors"
    }
    assert here == set(asked) == needed
    assert find_folder(adopt("me/my-llava")) == Path(folder)
    assert main(["fetch", "me/my-llava"]) == 0
    assert len(asked) == len(needed), "what is here is not fetched again"


def test_a_page_without_weights_asks_first_and_serves_nothing_without_a_yes(
    asked: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["demo", "--model", "me/my-llava"]) == 2
    assert asked == ["config.json"]
    said = capsys.readouterr()
    assert said.out.startswith("my-llava is not here: 0.00 GB") and "licence:" in said.out
    assert said.err == "tokenscope: my-llava is not fetched; answer yes, or set YES=1.\n"


@pytest.mark.parametrize("command", ["fetch llava-1.5-7b", "demo --model me/other --yes"])
def test_a_fetch_without_a_network_is_one_sentence(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"cannot be fetched: {NOWHERE} cannot be reached (" in refusal(command, capsys)


def test_an_unknown_repository_is_one_sentence(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no public repository me/nothing; check its name" in refusal("fetch me/nothing", capsys)


def test_a_full_disk_is_one_sentence_before_the_fetch(
    asked: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("models.fetching.shutil.disk_usage", lambda path: usage)
    assert "needs 0.00 GB on disk, but 0.00 GB is free" in refusal("fetch me/my-llava", capsys)
