"""The choices of the form for a model, and notes on them."""

from __future__ import annotations

from functools import lru_cache
from html import escape

from app.jobs import LANES, NOUNS, offered
from app.render.text import format_number, format_percent
from app.settings import Settings
from models.catalog import CATALOG, ModelCard, find
from models.grounding import FORMATS
from models.weights import count_parameters, fetch_command, is_downloaded
from pruning.base import CompressionMethod
from pruning.methods import METHODS, create

# Presets on offer, and what each changes: those after another source, and those that papers name
# as methods. Presets tuned to the family of a model are not among them.
PRESETS = {
    "nuwa:paper": "As the paper describes it: the release scores, gathers and numbers differently.",
    "flashvid:official": "As released: the mean of a tree counts direct children only, and even "
    "a short clip is cut into eight segments.",
    "fastvid:official": "As released: even a short clip is cut into eight segments.",
    "visionzip:fix": "Numbers the survivors over the whole span of the picture (RPME), where the "
    "release numbers them one after another (PERC).",
    "fastv:fix": "Stretches the ids of the survivors over the whole span of the picture (RPME), "
    "where the release leaves them as they are (PESP).",
    "sparsevlm:plus": "SparseVLM+ (v2.0): attention without the effect of position, no clusters, "
    "and survivors keep their ids (PESP).",
    "pyramiddrop:early": "Drops at a sixteenth, a quarter and a half of the LLM, earlier than the "
    "release, and so reaches smaller ratios.",
    "feather:early": "Drops at a sixteenth and a quarter of the LLM, earlier than the release, and "
    "so reaches smaller ratios.",
    "holov:official": "As released: tokens that a full chunk cannot keep become zeros; ours gives "
    "their places to other chunks.",
}


@lru_cache
def method_choices(model: str) -> tuple[tuple[str, str], ...]:
    """(name, label) of the methods that a model can run, without vanilla.

    The first preset of a method is its default, or the one tuned to the model's family. Presets
    tuned to other families are left to the command line.
    """
    card = find(model)
    methods = [one for one in METHODS if one.name != "vanilla" and one.media & card.media]
    names = [name for method in methods for name in (method.name, *_presets(method))]
    return tuple((name, create(name, family=card.family).label) for name in names)


@lru_cache
def part_choices(place: str, kind: str) -> tuple[tuple[str, str], ...]:
    """(label, name) of the parts for a place and a kind of upload.

    Without presets that differ in positions only, because positions are a choice of their own.
    """
    methods = [one for one in METHODS if one.acts(place) and kind in one.media]
    names = [name for method in methods for name in (method.name, *_presets(method, "numbering"))]
    return tuple((create(name).label, name) for name in names)


def _presets(method: type[CompressionMethod], ignored: str = "") -> list[str]:
    """Names of the presets on offer beside the first; they set a knob that is not `ignored`."""
    _, *others = method.PRESETS.items()
    names = ((f"{method.name}:{preset}", knobs.keys()) for preset, knobs in others)
    return [name for name, knobs in names if name in PRESETS and knobs - {ignored}]


def describe_choice(name: str) -> str:
    """What a method does; of a preset, what it changes."""
    return PRESETS.get(name) or create(name).summary


def default_lanes(model: str, kind: str, most: int) -> list[str]:
    """The methods that suit such an upload; `most` counts vanilla."""
    names = dict(method_choices(model))
    return [name for name in LANES[kind] if name in names][: most - 1]


def retention_note(ratio: float | None, model: str, num_frames: int | None = None) -> str:
    """The ratio as a count of visual tokens, if the model's count is fixed."""
    if not isinstance(ratio, (int, float)) or not 0 < ratio <= 1:
        return "<p>above 0, at most 1</p>"  # while it is typed
    card = find(model)
    if card.each is None:
        return f"<p>{format_percent(ratio)} of the visual tokens, averaged over LLM layers</p>"
    frames = card.frames if not isinstance(num_frames, int) or "image" in card.media else num_frames
    factors = f" ({frames} frames × {card.each})" if frames > 1 else ""
    total = card.each * frames
    count = f"<b>{round(ratio * total):,}</b> of {total:,} visual tokens{factors}"
    return f"<p>= {count}, averaged over LLM layers</p>"


def answers_note(model: str) -> str:
    """The kinds of question that a model was trained for, and how it writes a box."""
    card = find(model)
    if card.random:
        return card.note_on("")
    answers = f"{card.title} answers {', '.join(card.answers)}. " if card.answers else ""
    return f"{answers}Boxes are written {FORMATS[card.grounding].written}."


def model_choices(chosen: str) -> list[tuple[str, str]]:
    """(title, name) of the models on offer."""
    return [(model_label(card), card.name) for card in offered(Settings(model=chosen))]


def model_label(card: ModelCard) -> str:
    """The title; of the project's own models also the size, and who trained them."""
    if not card.ships:
        return card.title
    size = format_number(count_parameters(card) / 1e6, 2)
    return f"{card.title}, {size} M parameters, trained by this project"


def absent_note() -> str:
    """The models without weights on this machine, each with the command that fetches them."""
    absent = "".join(
        f"<div><dt>{escape(card.title)}</dt><dd><code>{escape(fetch_command(card))}</code></dd></div>"
        for card in CATALOG
        if not is_downloaded(card)
    )
    return f"<p>Models whose weights are not here</p><dl>{absent}</dl>" if absent else ""


def placeholder(kind: str) -> str:
    return f"Ask something about the {NOUNS[kind]}"
