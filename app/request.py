"""The border: everything a person sends becomes a valid `Job` here, or one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.settings import EXAMPLES, Settings
from app.worker.protocol import Job
from models.catalog import find
from models.media import Media, read_image
from models.pipeline import checked
from models.record import Truth
from pruning.base import CompressionMethod
from pruning.methods import create

MAX_SEED = 2**32 - 1


class RequestError(ValueError):
    """A request that cannot be run: what came, and what was wanted."""


def read_job(
    picture: str | Path | None,
    question: str,
    model: str,
    methods: Sequence[str],
    retention_ratio: float,
    *,
    positions: str = "published",
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    settings: Settings | None = None,
) -> Job:
    """Check every part, read the picture last (it is the dearest). Raises `ValueError`s only."""
    settings = settings or Settings()
    question = checked(str(question or ""))
    find(model)
    most = settings.max_new_tokens
    max_new_tokens, seed = _whole(max_new_tokens), _whole(seed)
    if not isinstance(max_new_tokens, int) or not 1 <= max_new_tokens <= most:
        raise RequestError(f"Max new tokens is {max_new_tokens}, wanted 1 to {most}.")
    if not isinstance(temperature, (int, float)) or not 0 <= temperature <= 2:
        raise RequestError(f"Temperature is {temperature}, wanted 0 (greedy) to 2.")
    if not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise RequestError(f"Seed is {seed}, wanted a whole number from 0 to {MAX_SEED}.")
    lanes = _lanes(methods, retention_ratio, positions, settings.max_lanes)
    if picture is None or str(picture) == "":
        raise RequestError("No picture came. Upload, paste or choose an example first.")
    media = read_image(picture)
    return Job(
        model, media, question, lanes, max_new_tokens, temperature, seed, truth_of(media, question)
    )


def _whole(number: Any) -> Any:
    """64.0, which is how some programs send 64, as 64; all else as it is."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _lanes(
    names: Sequence[str], ratio: float, positions: str, most: int
) -> tuple[CompressionMethod, ...]:
    if not isinstance(ratio, (int, float)) or not 0 < ratio <= 1:
        raise RequestError(f"Retention ratio is {ratio}, wanted a number above 0 and at most 1.")
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"Methods are {str(names)[:80]!r}, wanted a list of names.")
    others = [name for name in names if name != "vanilla"]
    if len(others) >= most:
        raise RequestError(f"{len(others) + 1} lanes came, the most is {most}, vanilla included.")
    return (create("vanilla"), *(method_of(name, ratio, positions) for name in others))


def method_of(name: str, ratio: float, positions: str = "published") -> CompressionMethod:
    """A method at a ratio, numbered as published unless a strategy is named."""
    numbering = {} if positions == "published" else {"numbering": positions}
    return create(name, retention_ratio=ratio, **numbering)


@lru_cache(maxsize=1)
def examples() -> list[dict]:
    """The pictures that ship with the project: file, question, answer, box, digest."""
    index = EXAMPLES / "examples.json"
    return json.loads(index.read_text()) if index.exists() else []


def truth_of(media: Media, question: str) -> Truth | None:
    """What is known of a picture we drew ourselves, when the question is one we know too."""
    for example in examples():
        if example["digest"] == media.digest:
            for known in example["questions"]:
                if known["question"].casefold() == question.casefold():
                    box = known.get("box")
                    return Truth(known["answer"], tuple(box) if box else None)
    return None
