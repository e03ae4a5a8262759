"""Finds the files of a model on this machine and checks that they are complete.

It reads the cache of the hub's client, which `python -m app fetch` and `hf download` fill; HF_HOME
and HF_HUB_CACHE set its place. Nothing here downloads: see models/fetching.py.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

from models.catalog import INT4, ModelCard
from pruning.errors import ExplainedError

ROOT = Path(__file__).parents[1]
INDEX = "model.safetensors.index.json"
SETTINGS = ("config.json", "tokenizer_config.json")


def fetch_command(card: ModelCard) -> str:
    return f"python -m app fetch {card.name}"


def repair_advice(card: ModelCard) -> str:
    """How to replace damaged files."""
    if not card.revision:
        return "check it out again" if card.ships else f"look at {card.source}"
    return f"fetch it again with `{fetch_command(card)} --again`"


def is_downloaded(card: ModelCard) -> bool:
    """Whether all files exist on this machine; `check_files` checks their content."""
    try:
        find_folder(card)
    except ValueError:
        return False
    return True


def find_folder(card: ModelCard) -> Path:
    """The folder of a model's files. Raises `ExplainedError` with the command to fetch them."""
    if not card.revision:
        return _find_local(card)
    folder = find_in_cache(card)
    names = (*settings_files(card), *shards(folder))
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ExplainedError(
            f"{card.title} is only partly here, without {missing[0]}; "
            f"fetch the rest with `{fetch_command(card)}`."
        )
    return folder


def settings_files(card: ModelCard) -> tuple[str, ...]:
    """Required files besides the weights; LLaVA-Video's repository has no image processor."""
    return SETTINGS if card.family == "llava-video" else (*SETTINGS, "preprocessor_config.json")


def shards(folder: Path) -> list[str]:
    """Names of the weight files, from the index if there is one."""
    if not (folder / INDEX).is_file():
        return ["model.safetensors"]
    try:
        return sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError):
        return [INDEX.removesuffix(".index.json")]  # does not exist: asks for a new download


@lru_cache
def count_parameters(card: ModelCard) -> int:
    """Numbers in the weight files, from their headers. Raises `ExplainedError` without files."""
    from safetensors import safe_open

    folder, total = find_folder(card), 0
    for name in shards(folder):
        with safe_open(folder / name, framework="numpy") as file:
            names = list(file.keys())  # the file itself cannot be iterated
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    return total


def snapshot_commit(path: str) -> str:
    """The repository and commit of a snapshot in the cache; "" for any other path."""
    snapshot = Path(path)
    if snapshot.parent.name != "snapshots":
        return ""
    repository = snapshot.parents[1].name.removeprefix("models--").replace("--", "/")
    return f"{repository} at {snapshot.name}"


def identify(card: ModelCard) -> str:
    """What tells one version of a model's weights from another: a commit, or a digest."""
    if card.random:
        return "random"
    folder, suffix = find_folder(card), INT4 * card.int4
    if card.revision:
        return (snapshot_commit(str(folder)) or folder.name) + suffix
    weights = sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in weights))
    return digest.hexdigest()[:12] + suffix


def check_files(card: ModelCard, folder: Path, architecture: str) -> None:
    """Raises `ExplainedError` for a damaged file, or a config of another model class."""
    from safetensors import SafetensorError, safe_open

    advice, contents = repair_advice(card), {}
    for path in (folder / name for name in (*SETTINGS, "generation_config.json")):
        try:
            contents[path.name] = json.loads(path.read_text()) if path.is_file() else {}
        except ValueError:
            raise ExplainedError(f"{path.name} of {card.title} is damaged; {advice}.") from None
    config = contents["config.json"]
    classes = (config.get("architectures") if isinstance(config, dict) else None) or ["none"]
    if classes != [architecture]:
        raise ExplainedError(f"{card.title} is a {classes[0]}, wanted a {architecture}; {advice}.")
    for name in shards(folder):
        try:
            with safe_open(folder / name, framework="numpy"):  # reads the header, checks the size
                pass
        except (SafetensorError, OSError) as error:
            raise ExplainedError(
                f"{name} of {card.title} is damaged ({error}); {advice}."
            ) from None


def _find_local(card: ModelCard) -> Path:
    folder = ROOT / card.source
    names = ("config.json", *shards(folder))
    if missing := [name for name in names if not (folder / name).is_file()]:
        if card.ships:
            advice = "check them out, or see models/embedded"
        else:
            advice = f"wanted {missing[0]} there"
        raise ExplainedError(f"{card.title} has no weights in {card.source}; {advice}.")
    return folder


def find_in_cache(card: ModelCard) -> Path:
    """The snapshot of a repository, maybe an incomplete one. Raises `ExplainedError` without."""
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.file_download import repo_folder_name

    cached = try_to_load_from_cache(card.source, "config.json", revision=card.revision)
    if isinstance(cached, str):
        return Path(cached).parent
    name = repo_folder_name(repo_id=card.source, repo_type="model")
    others = any((Path(constants.HF_HUB_CACHE) / name / "snapshots").glob("*/config.json"))
    state = f"here at another revision than {card.revision}" if others else "not on this machine"
    first = consent(card) if card.gated else ""
    raise ExplainedError(f"{card.title} is {state}; fetch it with `{fetch_command(card)}`{first}.")


def consent(card: ModelCard) -> str:
    """What to do before the fetch of a gated repository."""
    from huggingface_hub import constants

    return f" after accepting its terms at {constants.ENDPOINT}/{card.source} and `hf auth login`"
