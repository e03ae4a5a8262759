"""From a request to a valid `Job`, or to one sentence that names what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from app.example_uploads import entry_of, truth_of
from app.reading.pool import read_upload
from app.request import INPUTS, MOST_RATIOS, Request
from app.settings import Settings
from app.worker.protocol import Job
from models.catalog import CATALOG, ModelCard, find
from models.engine.checks import check_gaze, check_question
from models.grounding import FORMATS
from models.uploads.media import Media
from models.weights import is_downloaded
from pruning.base import CompressionMethod
from pruning.errors import ExplainedError
from pruning.methods import METHODS, create
from pruning.methods.composition import is_composed

LANES = {"image": ("visionzip", "nuwa", "pooling"), "video": ("flashvid", "fastvid", "ttm")}
NOUNS = {"image": "picture", "video": "clip"}


class RequestError(ExplainedError):
    """A request that cannot run: what came, and what is accepted."""


def read_job(
    request: Request,
    settings: Settings | None = None,
    cancelled: threading.Event | None = None,
    ratios: Sequence[float] | None = None,
) -> Job:
    """Check every field and read the upload, unless `cancelled`. Raises `ExplainedError`s only.

    With `ratios` the job is a sweep: vanilla, then every method at each ratio, one lane at a time.
    """
    settings = settings or Settings()
    question = check_question(str(request.question or request.locate or ""))
    gaze = check_gaze(str(request.gaze or ""))
    card = None if request.model == "" else _find_offered(request.model, settings)
    max_new_tokens, temperature, seed, ratio = (
        check_number(name, getattr(request, name), settings)
        for name in ("max_new_tokens", "temperature", "seed", "retention_ratio")
    )
    swept = () if ratios is None else check_ratios(ratios, settings)
    media, entry = _read(request, card, settings, cancelled)
    card = card or default_card(media.kind, settings)
    if media.kind not in card.media:
        raise RequestError(_misfit(card, media.kind))
    if request.locate:
        question = check_question(FORMATS[card.grounding].question(question))
    names = request.methods
    if names is None:
        names = LANES[media.kind][: settings.max_lanes - 1]
    names = _check_methods(names, card, settings.max_lanes + bool(swept))
    lanes = lanes_at(names, swept or (ratio,), card.family, request.positions)
    methods = (create("vanilla"), *(method for _, method in lanes))
    return Job(
        card.name,
        media,
        question,
        methods,
        max_new_tokens,
        temperature,
        seed,
        truth=None if entry is None else truth_of(entry, media, question),
        drawn=entry is not None,
        at_once=1 if swept else 0,
        ratios=swept,
        gaze=gaze,
    )


def _read(
    request: Request,
    card: ModelCard | None,
    settings: Settings,
    cancelled: threading.Event | None,
) -> tuple[Media, dict | None]:
    """The upload, and its entry if it is a file that this project has drawn."""
    frames, upload = request.num_frames, request.upload
    if frames is None:
        frames = (card or default_card("video", settings)).frames
    frames = check_number("num_frames", frames, settings)
    if upload is None or upload == "":
        raise RequestError("No picture or clip came. Upload one or choose an example first.")
    if isinstance(upload, Media):
        return upload, None
    media = read_upload(upload, frames, settings, cancelled)
    return media, entry_of(media, upload)


def check_number(name: str, value: Any, settings: Settings) -> Any:
    """A number of a request within its limits; a whole number such as 64.0 becomes 64."""
    one = INPUTS[name]
    low, high = one.limits(settings)
    if one.step == 1 and isinstance(value, float) and value.is_integer():
        value = int(value)
    right = isinstance(value, int if one.step == 1 else (int, float))
    right = right and not isinstance(value, bool)  # torch draws nothing from a bool
    if right and (one.accepts(value) if one.accepts else low <= value <= high):
        return value
    wanted = one.wanted or f"a whole number from {low} to {high}"
    raise RequestError(f"{one.label} is {value}, wanted {wanted}.")


def check_ratios(ratios: Any, settings: Settings) -> tuple[float, ...]:
    """The ratios of a sweep, each once, from the largest to the smallest."""
    if not isinstance(ratios, (list, tuple)) or not 0 < len(ratios) <= MOST_RATIOS:
        raise RequestError(
            f"Ratios are {str(ratios)[:80]}, wanted a list of 1 to {MOST_RATIOS} numbers."
        )
    return tuple(
        sorted({check_number("retention_ratio", one, settings) for one in ratios}, reverse=True)
    )


def offered(settings: Settings) -> list[ModelCard]:
    """The models with weights on this machine, and the one of the settings in any case.

    No other loads for a visitor: it would replace the model that all visitors use.
    """
    chosen = find(settings.model)
    cards = [card for card in CATALOG if is_downloaded(card) or card == chosen]
    return cards if chosen in cards else [*cards, chosen]


def _find_offered(model: str, settings: Settings) -> ModelCard:
    card, cards = find(model), offered(settings)
    if card not in cards:
        names = ", ".join(one.name for one in cards)
        raise RequestError(f"The model {card.name} is not offered here. Choose one of {names}.")
    return card


def default_card(kind: str, settings: Settings) -> ModelCard:
    """The model for a kind of upload: the one of the settings, or the first that takes it."""
    for card in (find(settings.model), *CATALOG):
        if kind in card.media:
            return card
    raise RequestError(f"No model here takes a {NOUNS[kind]}.")


def first_kind(card: ModelCard) -> str:
    """The kind of upload that the form opens with."""
    return "image" if "image" in card.media else "video"


def _misfit(card: ModelCard, kind: str) -> str:
    accepted = " or ".join(f"{NOUNS[other]}s" for other in sorted(card.media))
    able = (other for other in CATALOG if kind in other.media and is_downloaded(other))
    fitting = " or ".join(f"{other.title} ({other.name})" for other in able)
    noun, choice = NOUNS[kind], fitting or "another"
    return f"{card.title} takes {accepted}, and a {noun} came; choose {choice}."


def _check_methods(names: Sequence[str], card: ModelCard, most: int) -> list[str]:
    """The names of the methods beside vanilla; `most` counts vanilla."""
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"Methods are {str(names)[:80]!r}, wanted a list of names.")
    others = [name for name in names if name != "vanilla"]
    if len(others) >= most:
        raise RequestError(f"{len(others) + 1} lanes came, the most is {most}, vanilla included.")
    listed = {method.name for method in METHODS}
    for name in others:  # a method for other uploads fails in its own lane
        if not is_composed(name) and name.partition(":")[0] not in listed:
            fitting = ", ".join(m.name for m in METHODS if m.media & card.media)
            raise RequestError(f"Unknown method {name[:80]!r}. Choose one of {fitting}.")
    return others


def method_of(
    name: str, ratio: float, positions: str = "published", family: str = ""
) -> CompressionMethod:
    """A method, or composed parts, at a ratio, with the presets of a model family.

    `positions` replaces the position strategy of the method's paper.
    """
    numbering = {} if positions == "published" else {"numbering": positions}
    return create(name, family=family, retention_ratio=ratio, **numbering)


def lanes_at(
    names: Sequence[str], ratios: Sequence[float], family: str, positions: str = "published"
) -> Iterator[tuple[str, CompressionMethod]]:
    """Every method at every ratio, with the name that asks for it, such as "nuwa:paper"."""
    for name in names:
        if name == "vanilla":
            yield name, create(name)
        else:
            yield from ((name, method_of(name, ratio, positions, family)) for ratio in ratios)
