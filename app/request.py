"""The border: everything a person sends becomes a valid `Job` here, or one clear sentence."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.reading.pool import read_upload
from app.settings import EXAMPLES, Settings
from app.worker.protocol import Job
from models.catalog import CATALOG, ModelCard, find
from models.engine.checks import checked
from models.engine.record import Truth
from models.grounding import FORMATS
from models.uploads.media import Media
from models.weights import is_here
from pruning.base import CompressionMethod
from pruning.methods import METHODS, create, is_composed

MAX_SEED = 2**32 - 1
LEAST_TEMPERATURE = 0.01  # logits over a smaller one pass what a float holds
RATIO = 0.111
LANES = {"image": ("visionzip", "nuwa", "pooling"), "video": ("flashvid", "fastvid", "ttm")}
NOUNS = {"image": "picture", "video": "clip"}


class RequestError(ValueError):
    """A request that cannot be run: what came, and what was wanted."""


def read_job(
    path: str | Path | None,
    question: str,
    model: str = "",
    methods: Sequence[str] | None = None,
    retention_ratio: float = RATIO,
    *,
    positions: str = "published",
    num_frames: int | None = None,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    locate: str | None = None,
    settings: Settings | None = None,
    cancelled: threading.Event | None = None,
) -> Job:
    """Check every part and read the upload, unless `cancelled`. Raises `ValueError`s only.

    `locate` names what to find, instead of a question: the model is asked as it was trained to be.
    No model means the one that takes such an upload, no methods those that show most on it, and no
    number of frames as many as the model was made for.
    """
    settings = settings or Settings()
    question = checked(str(question or locate or ""))
    card = None if model == "" else _chosen(model, settings)
    max_new_tokens, seed = _whole(max_new_tokens), _whole(seed)
    _check_decoding(max_new_tokens, temperature, seed, settings.max_new_tokens)
    if not _is_number(retention_ratio) or not 0 < retention_ratio <= 1:
        raise RequestError(
            f"Retention ratio is {retention_ratio}, wanted a number above 0 and at most 1."
        )
    frames = _frames(num_frames, card or default_card("video", settings), settings.max_frames)
    if path is None or str(path) == "":
        raise RequestError("No picture or clip came. Upload one or choose an example first.")
    media = read_upload(path, frames, settings, cancelled)
    card = card or default_card(media.kind, settings)
    if media.kind not in card.media:
        raise RequestError(_misfit(card, media.kind))
    if locate is not None:
        question = checked(FORMATS[card.grounding].question(question))
    names = LANES[media.kind][: settings.max_lanes - 1] if methods is None else methods
    lanes = _lanes(names, retention_ratio, positions, card, settings.max_lanes)
    truth = truth_of(media, path, question)
    return Job(card.name, media, question, lanes, max_new_tokens, temperature, seed, truth)


def offered(settings: Settings) -> list[ModelCard]:
    """The models whose weights are here, and the one that is set, which may have random weights.

    No other is loaded for a visitor: it would take the place of the one that all others use.
    """
    chosen = find(settings.model)
    cards = [card for card in CATALOG if is_here(card) or card == chosen]
    return cards if chosen in cards else [*cards, chosen]


def _chosen(model: str, settings: Settings) -> ModelCard:
    card, cards = find(model), offered(settings)
    if card not in cards:
        names = ", ".join(one.name for one in cards)
        raise RequestError(f"The model {card.name} is not offered here. Choose one of {names}.")
    return card


def _check_decoding(max_new_tokens: Any, temperature: Any, seed: Any, most: int) -> None:
    if not _is_whole(max_new_tokens) or not 1 <= max_new_tokens <= most:
        raise RequestError(f"Max new tokens is {max_new_tokens}, wanted 1 to {most}.")
    warm = _is_number(temperature) and LEAST_TEMPERATURE <= temperature <= 2
    if not warm and not (_is_number(temperature) and temperature == 0):
        raise RequestError(
            f"Temperature is {temperature}, wanted 0 (greedy), or {LEAST_TEMPERATURE} to 2."
        )
    if not _is_whole(seed) or not 0 <= seed <= MAX_SEED:
        raise RequestError(f"Seed is {seed}, wanted a whole number from 0 to {MAX_SEED}.")


def default_card(kind: str, settings: Settings) -> ModelCard:
    """The model for a kind of upload: the one that is set, or the first that takes it."""
    for card in (find(settings.model), *CATALOG):
        if kind in card.media:
            return card
    raise RequestError(f"No model here takes a {NOUNS[kind]}.")


def first_kind(card: ModelCard) -> str:
    """What a model is shown where nothing has been uploaded yet."""
    return "image" if "image" in card.media else "video"


def _misfit(card: ModelCard, kind: str) -> str:
    taken = " or ".join(f"{NOUNS[other]}s" for other in sorted(card.media))
    able = (other for other in CATALOG if kind in other.media and is_here(other))
    fitting = " or ".join(f"{other.title} ({other.name})" for other in able)
    return f"{card.title} takes {taken}, and a {NOUNS[kind]} came; choose {fitting or 'another'}."


def _frames(count: Any, card: ModelCard, most: int) -> int:
    count = card.frames if count is None else _whole(count)
    if not _is_whole(count) or not 1 <= count <= most:
        raise RequestError(f"Frames to sample is {count}, wanted a whole number from 1 to {most}.")
    return count


def _whole(number: Any) -> Any:
    """64.0, which is how some programs send 64, as 64; all else as it is."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _is_whole(number: Any) -> bool:
    return _is_number(number) and isinstance(number, int)


def _is_number(number: Any) -> bool:
    """To Python true is 1 as well, but torch draws nothing from it."""
    return isinstance(number, (int, float)) and not isinstance(number, bool)


def _lanes(
    names: Sequence[str], ratio: float, positions: str, card: ModelCard, most: int
) -> tuple[CompressionMethod, ...]:
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"Methods are {str(names)[:80]!r}, wanted a list of names.")
    others = [name for name in names if name != "vanilla"]
    if len(others) >= most:
        raise RequestError(f"{len(others) + 1} lanes came, the most is {most}, vanilla included.")
    known = {method.name for method in METHODS}
    for name in others:  # one for other uploads says so in its own lane
        if not is_composed(name) and name.partition(":")[0] not in known:
            fitting = ", ".join(m.name for m in METHODS if m.media & card.media)
            raise RequestError(f"Unknown method {name[:80]!r}. Choose one of {fitting}.")
    return (create("vanilla"), *(method_of(name, ratio, positions, card.family) for name in others))


def method_of(
    name: str, ratio: float, positions: str = "published", family: str = ""
) -> CompressionMethod:
    """A method, or parts composed, at a ratio, for a family of models.

    It is numbered as its name says unless told otherwise.
    """
    numbering = {} if positions == "published" else {"numbering": positions}
    return create(name, family=family, retention_ratio=ratio, **numbering)


def lanes_at(
    names: Sequence[str], ratios: Sequence[float], family: str, positions: str = "published"
) -> Iterator[tuple[str, CompressionMethod]]:
    """Methods by ratios, each with the name it was asked for by: "nuwa:paper" is not "nuwa"."""
    for name in names:
        if name == "vanilla":
            yield name, create(name)
        else:
            yield from ((name, method_of(name, ratio, positions, family)) for ratio in ratios)


@lru_cache(maxsize=1)
def examples() -> tuple[dict, ...]:
    """The uploads that ship with the project: file, digest, questions with answer and box."""
    index = EXAMPLES / "examples.json"
    return tuple(json.loads(index.read_text())) if index.exists() else ()


def examples_of(kind: str) -> list[dict]:
    """Those of one kind, in their order."""
    return [one for one in examples() if one["file"].endswith(".mp4") == (kind == "video")]


def truth_of(media: Media, path: str | Path, question: str) -> Truth | None:
    """What is known of an upload we drew ourselves, when the question is one we know too.

    A picture is known by its pixels, a clip by its file, whatever decoded it. A box lies on the
    last frame, so it holds only for the number of frames that the index names.
    """
    digest = media.digest if media.kind == "image" else file_digest(path)
    for example in examples_of(media.kind):
        if example["digest"] != digest:
            continue
        for known in example["questions"]:
            if known["question"].casefold() == question.casefold():
                box = known.get("box")
                sampled = example.get("frames", 1) == len(media.frames)
                return Truth(known["answer"], tuple(box) if box and sampled else None)
    return None


def file_digest(path: str | Path) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
