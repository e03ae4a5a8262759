"""The methods on offer as chips, grouped by where they act; those out of reach say why."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import lru_cache
from html import escape

from app.page.choices import method_choices
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
# A click changes the chip at once and sends the names of all pressed chips, so that two quick
# clicks cannot lose each other. A chip out of reach sends the ratio that it needs.
JS = """element.addEventListener("click", (event) => {
  const chip = event.target.closest("button[data-name]");
  if (!chip) return;
  const pressed = chip.getAttribute("aria-pressed") !== "true";
  chip.setAttribute("aria-pressed", pressed);
  const on = element.querySelectorAll('button[aria-pressed="true"]');
  const ratio = pressed && chip.dataset.least ? Number(chip.dataset.least) : null;
  trigger("click", {methods: [...on].map((one) => one.dataset.name), ratio});
});"""


def menu(model: str, chosen: Iterable[str], ratio: object, num_frames: object = None) -> str:
    """A button for each method of a model; `aria-pressed` for the chosen ones."""
    card, pressed = find(model), set(chosen)
    tokens = _num_tokens(card, num_frames)
    groups: dict[str, list[str]] = {heading: [] for heading in GROUPS}
    for name, label in method_choices(model):
        method = _class_of(name)
        why = refusal(name, card, ratio, tokens)
        groups[_group(method)].append(_chip(name, label, method.summary, name in pressed, why))
    return "".join(
        f'<div role="group" aria-label="{heading}"><h3 title="{GROUPS[heading]}">{heading}</h3>'
        f"{''.join(chips)}</div>"
        for heading, chips in groups.items()
        if chips
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


def _chip(name: str, label: str, summary: str, pressed: bool, why: BudgetError | None) -> str:
    title, least = f"{label}: {summary}", ""
    shown = label.partition(", ")[2] or label  # a preset stands behind its method
    if why is not None:
        smallest = math.ceil(1000 * why.smallest - 1e-9) / 1000
        title = f"{why} A click sets {at_least(why.smallest)}."
        least = f' data-least="{smallest:.3f}"'
    return (
        f'<button type="button" data-name="{escape(name)}" aria-pressed="{str(pressed).lower()}"'
        f'{least} aria-label="{escape(title)}" title="{escape(title)}">{escape(shown)}</button>'
    )


def _class_of(name: str) -> type[CompressionMethod]:
    return next(method for method in METHODS if method.name == name.partition(":")[0])


def _group(method: type[CompressionMethod]) -> str:
    if not method.paper:
        return "Baselines"
    alone = {"before the LLM": "Before the LLM", "inside the LLM": "Inside the LLM"}
    return alone.get(place(method), "Both")
