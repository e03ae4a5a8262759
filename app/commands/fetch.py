"""`fetch`: downloads the files of a model that loading reads from the hub."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from models.catalog import ModelCard


def add(commands: Any) -> None:
    parser = commands.add_parser("fetch", help="download the weights of a model")
    parser.add_argument(
        "fetched", metavar="model", help="name of the list, or org/name of a known family"
    )
    parser.add_argument("--again", action="store_true", help="replace files that are here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from models import fetching

    card = resolve(options.fetched)
    if not card.revision or card.random:
        raise ValueError(f"{card.title} is no repository of the hub; there is nothing to fetch.")
    size = fetching.plan(card, options.again)
    print(f"{card.title}: {size} from {card.source}, licence: {card.licence}")
    print(fetching.fetch(card, options.again))


def ensure(name: str, agreed: bool) -> ModelCard:
    """The card of a model; asks before it downloads missing weights.

    Raises `ValueError` if the user declines.
    """
    from models import fetching
    from models.weights import is_downloaded

    card = resolve(name)
    if card.random or not card.revision or is_downloaded(card):
        return card
    size = fetching.plan(card)
    print(f"{card.title} is not here: {size} from {card.source}, licence: {card.licence}")
    if not agreed and not _says_yes():
        raise ValueError(f"{card.title} is not fetched; answer yes, or set YES=1.")
    fetching.fetch(card)
    return card


def resolve(name: str) -> ModelCard:
    """The card of a name. Fetches config.json of an unlisted repository first."""
    from models import fetching
    from models.unlisted import adopt, bare_card

    try:
        return adopt(name)
    except ValueError:
        card = bare_card(name)
        if card is None or not card.revision or is_here(card):
            raise
    fetching.fetch_config(card)
    return adopt(name)


def is_here(card: ModelCard) -> bool:
    """Whether the config of a repository is on this machine."""
    from models.weights import find_in_cache

    with suppress(ValueError):
        find_in_cache(card)
        return True
    return False


def _says_yes() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Fetch it now? [y/N] ").strip().casefold() in ("y", "yes")
