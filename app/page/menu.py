"""The methods on offer as chips, grouped by where they act; those out of reach say why."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from app.page.choices import describe_choice, method_choices
from app.render.method_text import place
from models.catalog import ModelCard, find
from models.weights import find_folder
from pruning.base import CompressionMethod
from pruning.budget import BudgetError, at_least
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, create

GROUPS = {  # heading: what its methods do
    "Before the LLM": "Fewer visual tokens enter the LLM",
    "Inside the LLM": "All visual tokens enter; layers drop some",
    "Both": "Fewer visual tokens enter, and more are dropped later",
    "Baselines": "Simple selections without a paper, to compare with",
}
# Chips of the short menu beside the chosen ones: the two papers' methods, and those that they
# compare with. The list of all methods opens on a click.
FIRST = (
    *("flashvid", "nuwa", "visionzip", "fastvid", "divprune", "fastv", "sparsevlm"),
    *("pyramiddrop", "vscan", "pooling", "grid", "random"),
)
JS = (Path(__file__).parent / "menu.js").read_text()


@dataclass(frozen=True)
class Offer:
    """A method on offer, or one of its presets."""

    name: str
    label: str
    says: str  # what it does
    pressed: bool
    refusal: BudgetError | None


def menu(
    model: str, chosen: Iterable[str], ratio: object, num_frames: object = None, *, most: int
) -> str:
    """Chips of the usual and the chosen methods, and a list of all that a button opens.

    `aria-pressed` marks the chosen ones, at most `most`.
    """
    card, pressed = find(model), set(chosen)
    tokens = _num_tokens(card, num_frames)
    groups: dict[str, list[Offer]] = {heading: [] for heading in GROUPS}
    for name, label in method_choices(model):
        method, why = _class_of(name), refusal(name, card, ratio, tokens)
        offer = Offer(name, label, describe_choice(name), name in pressed, why)
        groups[_group(method)].append(offer)
    offers = [offer for group in groups.values() for offer in group]
    short = {
        heading: [one for one in group if one.pressed or one.name in FIRST]
        for heading, group in groups.items()
    }
    count = f"{len(pressed)} of {most} chosen"
    return (
        f'<div class="short" data-most="{most}">{_groups(short, _chip)}</div>'
        '<button type="button" class="all" popovertarget="all-methods" aria-haspopup="dialog">'
        f"All {len(offers)} methods <span>{count}</span></button>"
        '<div popover id="all-methods" role="dialog" aria-label="All methods">'
        f'<header><input type="search" placeholder="Filter by name or by what it does" '
        f'aria-label="Filter the methods"><span>{count}</span>'
        '<button type="button" popovertarget="all-methods" popovertargetaction="hide">Close'
        f"</button></header>{_groups(groups, _row)}</div>"
    )


def _groups(groups: Mapping[str, Sequence[Offer]], draw: Callable[[Offer], str]) -> str:
    return "".join(
        f'<div role="group" aria-label="{heading}"><h3 title="{GROUPS[heading]}">{heading}</h3>'
        f"<div>{''.join(map(draw, offers))}</div></div>"
        for heading, offers in groups.items()
        if offers
    )


def refusal(name: str, card: ModelCard, ratio: object, tokens: int | None) -> BudgetError | None:
    """Why a method cannot run at a ratio; None if it can, or if that depends on the upload."""
    layers = num_layers(card)
    if tokens is None or layers is None or not isinstance(ratio, (int, float)):
        return None
    if not 0 < ratio <= 1:  # while it is typed
        return None
    try:
        create(name, family=card.family, retention_ratio=ratio).budget(tokens, layers)
    except BudgetError as error:
        return error
    except (UnsupportedError, ValueError):  # the lane says it
        return None
    return None


@lru_cache
def num_layers(card: ModelCard) -> int | None:
    """LLM layers of a model whose files are here."""
    try:
        config = json.loads((find_folder(card) / "config.json").read_text(encoding="utf-8"))
        return int(config["text_config"]["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _num_tokens(card: ModelCard, num_frames: object) -> int | None:
    if card.each is None:
        return None
    frames = num_frames if "video" in card.media and isinstance(num_frames, int) else card.frames
    return card.each * frames


def _chip(offer: Offer) -> str:
    title = f"{offer.label}: {offer.says}"
    if offer.refusal is not None:
        title = f"{offer.refusal} A click sets {at_least(offer.refusal.smallest)}."
    label = f'aria-label="{escape(title)}" title="{escape(title)}"'
    return f"<button {_state(offer)} {label}>{escape(offer.label)}</button>"


def _row(offer: Offer) -> str:
    """The method, what it does, and the ratio that a click sets if this one is too small."""
    least = ""
    if offer.refusal is not None:
        smallest = at_least(offer.refusal.smallest)
        least = f'<i title="{escape(str(offer.refusal))}">A click sets {smallest}, its smallest</i>'
    return (
        f"<button {_state(offer)}><b>{escape(offer.label)}</b> "
        f"<span>{escape(offer.says)} {least}</span></button>"
    )


def _state(offer: Offer) -> str:
    least = ""
    if offer.refusal is not None:
        smallest = math.ceil(1000 * offer.refusal.smallest - 1e-9) / 1000
        least = f' data-least="{smallest:.3f}"'
    pressed = str(offer.pressed).lower()
    return f'type="button" data-name="{escape(offer.name)}" aria-pressed="{pressed}"{least}'


def _class_of(name: str) -> type[CompressionMethod]:
    return next(method for method in METHODS if method.name == name.partition(":")[0])


def _group(method: type[CompressionMethod]) -> str:
    if not method.paper:
        return "Baselines"
    alone = {"before the LLM": "Before the LLM", "inside the LLM": "Inside the LLM"}
    return alone.get(place(method), "Both")
