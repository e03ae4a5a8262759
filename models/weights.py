"""Where a model's weights lie on this machine, and in one sentence what to do where they do not.

TokenScope never downloads by itself: it reads the cache of the hub's own client, `hf download`
fills it, and HF_HOME and HF_HUB_CACHE move it.
"""

from __future__ import annotations

import json
from pathlib import Path

from models.catalog import ModelCard

ROOT = Path(__file__).parents[1]
INDEX = "model.safetensors.index.json"
NEEDED = ("config.json", "tokenizer_config.json")


def command(card: ModelCard) -> str:
    """What fetches the weights of a model of the hub."""
    return f"hf download {card.source} --revision {card.revision}"


def again(card: ModelCard) -> str:
    """What to do about files that are here and of no use."""
    if not card.revision:
        return "check it out again"
    return f"fetch it again with `{command(card)} --force-download`"


def is_here(card: ModelCard) -> bool:
    """Whether its files are all on this machine; whether they are whole is seen on loading."""
    try:
        folder(card)
    except ValueError:
        return False
    return True


def folder(card: ModelCard) -> Path:
    """Where its files lie, all of them. Raises `ValueError` with the command that fetches them."""
    if not card.revision:
        return _of_the_checkout(card)
    found = _of_the_cache(card)
    missing = [name for name in (*needed(card), *shards(found)) if not (found / name).is_file()]
    if missing:
        raise ValueError(
            f"{card.title} is here in part only, without {missing[0]}; "
            f"fetch the rest with `{command(card)}`."
        )
    return found


def needed(card: ModelCard) -> tuple[str, ...]:
    """Files beside the weights; LLaVA-Video's repository has nothing of its pictures."""
    return NEEDED if card.family == "llava-video" else (*NEEDED, "preprocessor_config.json")


def shards(found: Path) -> list[str]:
    """Names of the files that hold the weights, as the index says; without one, the one file."""
    if not (found / INDEX).is_file():
        return ["model.safetensors"]
    try:
        return sorted(set(json.loads((found / INDEX).read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError):
        return [INDEX.removesuffix(".index.json")]  # as if it were not there: fetch again


def commit(path: str) -> str:
    """The repository and commit whose snapshot a path of the cache is; of any other path, ""."""
    snapshot = Path(path)
    if snapshot.parent.name != "snapshots":
        return ""
    repository = snapshot.parents[1].name.removeprefix("models--").replace("--", "/")
    return f"{repository} at {snapshot.name}"


def check_whole(card: ModelCard, found: Path, architecture: str) -> None:
    """Refuse a file that is cut or damaged, and a config of another class than the family's."""
    from safetensors import SafetensorError, safe_open

    told = {}
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        try:
            told[name] = json.loads((found / name).read_text()) if (found / name).is_file() else {}
        except ValueError:
            raise ValueError(f"{name} of {card.title} is damaged; {again(card)}.") from None
    config = told["config.json"]
    named = (config.get("architectures") if isinstance(config, dict) else None) or ["none"]
    if named != [architecture]:
        raise ValueError(
            f"{card.title} is a {named[0]} here, wanted a {architecture}; {again(card)}."
        )
    for name in shards(found):
        try:
            with safe_open(found / name, framework="numpy"):  # reads the header, compares the size
                pass
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{name} of {card.title} is damaged ({error}); {again(card)}."
            ) from None


def _of_the_checkout(card: ModelCard) -> Path:
    found = ROOT / card.source
    if not all((found / name).is_file() for name in ("config.json", *shards(found))):
        raise ValueError(
            f"{card.title} has no weights in {card.source}; check them out, or see models/embedded."
        )
    return found


def _of_the_cache(card: ModelCard) -> Path:
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.file_download import repo_folder_name

    cached = try_to_load_from_cache(card.source, "config.json", revision=card.revision)
    if isinstance(cached, str):
        return Path(cached).parent
    kept = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=card.source, repo_type="model")
    others = any((kept / "snapshots").glob("*/config.json"))
    where = f"here at another revision than {card.revision}" if others else "not here"
    consent = (
        f" after accepting its terms at {constants.ENDPOINT}/{card.source} and `hf auth login`"
        if card.gated
        else ""
    )
    raise ValueError(f"{card.title} is {where}; fetch it with `{command(card)}`{consent}.")
