"""Fetches the files of a model from the hub into the cache of the hub's client.

Fetches what loading reads and nothing else: settings, tokenizer, chat template and safetensors. An
interrupted fetch continues where it stopped.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.catalog import ModelCard
from models.weights import consent, find_folder

log = logging.getLogger(__name__)

NEEDED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")  # *.txt: merges of a tokenizer
NEVER = ("*/*", "consolidated*")  # other formats of the same weights
GB = 10**9


@dataclass(frozen=True)
class Plan:
    """Sizes in bytes of what a fetch would take."""

    total: int
    missing: int  # not in the cache yet

    def __str__(self) -> str:
        here = self.total - self.missing
        return f"{self.missing / GB:.2f} GB" + (f" of {self.total / GB:.2f} GB" if here else "")


def plan(card: ModelCard, again: bool = False) -> Plan:
    """Asks the hub for the files. Raises `ValueError` with one sentence if it cannot be fetched."""
    from huggingface_hub import constants, snapshot_download

    with refusals(card), without_bars():
        files = snapshot_download(
            card.source,
            revision=card.revision,
            allow_patterns=NEEDED,
            ignore_patterns=NEVER,
            force_download=again,
            dry_run=True,
        )
    if not any(file.filename.endswith(".safetensors") for file in files):
        raise ValueError(f"{card.source} holds no safetensors; no other format is read.")
    missing = sum(file.file_size for file in files if file.will_download)
    cache = Path(constants.HF_HUB_CACHE)
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if missing > free:
        raise ValueError(
            f"{card.title} needs {missing / GB:.2f} GB on disk, but {free / GB:.2f} GB is free in "
            f"{cache}; free some, or set HF_HUB_CACHE to another folder."
        )
    return Plan(sum(file.file_size for file in files), missing)


def fetch(card: ModelCard, again: bool = False) -> Path:
    """The folder of the fetched files, with a progress bar on standard error."""
    from huggingface_hub import snapshot_download

    with refusals(card):
        snapshot_download(
            card.source,
            revision=card.revision,
            allow_patterns=NEEDED,
            ignore_patterns=NEVER,
            force_download=again,
        )
    return find_folder(card)  # refuses an incomplete one


def fetch_config(card: ModelCard) -> None:
    """Fetches config.json alone, which tells the family and the shape."""
    from huggingface_hub import snapshot_download

    with (
        refusals(card),
        without_bars(),
    ):  # not hf_hub_download, which tries for half a minute without a network
        snapshot_download(card.source, revision=card.revision, allow_patterns="config.json")


@contextmanager
def without_bars() -> Iterator[None]:
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


@contextmanager
def refusals(card: ModelCard) -> Iterator[None]:
    """Turns any error of the hub's client into one sentence; the log has the rest."""
    try:
        yield
    except Exception as error:
        log.info("%s not fetched", card.name, exc_info=error)
        raise ValueError(f"{card.title} cannot be fetched: {_reason(card, error)}.") from None


def _reason(card: ModelCard, error: Exception) -> str:
    from huggingface_hub import constants, errors

    causes = list(_causes(error))
    for one in causes:
        if isinstance(one, errors.GatedRepoError):
            return f"it is gated; fetch it again{consent(card)}"
        if isinstance(one, errors.RepositoryNotFoundError):
            return f"{constants.ENDPOINT} has no public repository {card.source}; check its name"
        if isinstance(one, errors.RevisionNotFoundError):
            return f"{card.source} has no revision {card.revision}"
    first, *_ = f"{causes[-1]}".strip().splitlines() or [type(causes[-1]).__name__]
    return f"{constants.ENDPOINT} cannot be reached ({first[:80]}); check the network and try again"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes; the root cause is last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
