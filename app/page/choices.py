"""What may be chosen for a model, and what a person should know before choosing."""

from __future__ import annotations

from functools import lru_cache
from html import escape

from app.jobs import LANES, NOUNS, offered
from app.render.summary import percent
from app.settings import Settings
from models.catalog import CATALOG, find
from models.grounding import FORMATS
from models.weights import command, is_here
from pruning.base import CompressionMethod
from pruning.methods import METHODS, create

# Presets that follow a source where sources differ, or that papers name as methods of their own.
OFFERED = ("paper", "official", "fix", "plus", "early")


@lru_cache
def method_choices(model: str) -> tuple[tuple[str, str], ...]:
    """(what `create` takes, what its lane is called) of all but vanilla that a model can run.

    Of a method's presets these are the first, or the one tuned to the model's family, and those
    that papers tell apart; one tuned to another family is left to the command line.
    """
    names: list[str] = []
    card = find(model)
    for method in METHODS:
        if method.name != "vanilla" and method.media & card.media:
            names += [method.name, *(f"{method.name}:{preset}" for preset in followed(method))]
    return tuple((name, create(name, family=card.family).label) for name in names)


def followed(method: type[CompressionMethod]) -> list[str]:
    """The presets on offer beside the first."""
    _, *others = method.PRESETS
    return [preset for preset in others if preset in OFFERED]


@lru_cache
def part_choices(place: str, kind: str) -> tuple[tuple[str, str], ...]:
    """(what it is called, what `create` takes) of all parts for a place and a kind of upload.

    A preset that only numbers otherwise is none: positions are chosen beside the parts.
    """
    names: list[str] = []
    for method in METHODS:
        if method.acts(place) and kind in method.media:
            others = [p for p in followed(method) if method.PRESETS[p].keys() - {"numbering"}]
            names += [method.name, *(f"{method.name}:{preset}" for preset in others)]
    return tuple((create(name).label, name) for name in names)


def default_lanes(model: str, kind: str, most: int) -> list[str]:
    """The methods that show most on such an upload, `most` lanes with vanilla."""
    names = [name for name, _ in method_choices(model)]
    return [name for name in LANES[kind] if name in names][: most - 1]


def retention_note(ratio: float | None, model: str, num_frames: int | None = None) -> str:
    """The ratio as a count of visual tokens, where the model's count is fixed."""
    if not isinstance(ratio, (int, float)) or not 0 < ratio <= 1:
        return "<p>above 0, at most 1</p>"  # half-typed
    card = find(model)
    each = card.each
    if each is None:
        return f"<p>{percent(ratio)} of the visual tokens, averaged over LLM layers</p>"
    frames = card.frames if not isinstance(num_frames, int) or "image" in card.media else num_frames
    made = f" ({frames} frames × {each})" if frames > 1 else ""
    kept, total = round(ratio * each * frames), each * frames
    return f"<p>= <b>{kept}</b> of {total} visual tokens{made}, averaged over LLM layers</p>"


def answers_note(model: str) -> str:
    """What the model was made for, so that nobody asks it for more, and how it writes a box."""
    card = find(model)
    if card.random:
        return card.note_on("")
    answers = f"{card.title} answers {', '.join(card.answers)}. " if card.answers else ""
    return f"{answers}Boxes are written {FORMATS[card.grounding].written}."


def model_choices(chosen: str) -> list[tuple[str, str]]:
    """(what it is called, its name) of the models on offer."""
    return [(card.title, card.name) for card in offered(Settings(model=chosen))]


def absent_note() -> str:
    """The models whose weights are not here, each with what fetches them."""
    told = "".join(
        f"<div><dt>{escape(card.title)}</dt><dd><code>{escape(command(card))}</code></dd></div>"
        for card in CATALOG
        if not is_here(card)
    )
    return f"<p>Models whose weights are not here</p><dl>{told}</dl>" if told else ""


def placeholder(kind: str) -> str:
    return f"Ask something about the {NOUNS[kind]}"
