"""The project's own uploads, shipped or drawn for a visitor, with questions, answers and boxes."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from app.settings import EXAMPLES
from models.engine.record import Truth
from models.uploads.media import Media

MOST_DRAWN = 1000  # for visitors, that the page recognises
_drawn: dict[str, dict] = {}  # by digest, oldest first
STORIES = EXAMPLES / "stories.json"  # what each example shows, by `python -m app stories`
STORY = EXAMPLES / "story"  # the recording that the page opens with
THUMBS = EXAMPLES / "thumbs"


@lru_cache(maxsize=1)
def stories() -> dict[str, dict]:
    """By file: the question, ratio and methods of a comparison, and its headline."""
    index = json.loads(STORIES.read_text(encoding="utf-8")) if STORIES.exists() else ()
    return {one["file"]: one for one in index}


@lru_cache(maxsize=1)
def examples() -> tuple[dict, ...]:
    """File, digest and questions of each."""
    index = EXAMPLES / "examples.json"
    return tuple(json.loads(index.read_text())) if index.exists() else ()


def examples_of(kind: str) -> list[dict]:
    """The examples of one kind, in order."""
    return [one for one in examples() if one["file"].endswith(".mp4") == (kind == "video")]


@lru_cache(maxsize=1)
def photographs() -> tuple[dict, ...]:
    """File, title and questions of each; no drawing of this project, and without a known answer."""
    return tuple(json.loads((EXAMPLES / "photographs.json").read_text()))


def remember(entry: dict) -> None:
    """Recognise an upload that was drawn for a visitor; the oldest are forgotten."""
    _drawn[entry["digest"]] = entry
    while len(_drawn) > MOST_DRAWN:
        _drawn.pop(next(iter(_drawn)), None)


def entry_of(media: Media, path: str | Path) -> dict | None:
    """The entry of an upload that this project has drawn.

    The pixels identify a picture, the file identifies a clip, because decoders differ.
    """
    digest = media.digest if media.kind == "image" else file_digest(path)
    shipped = (one for one in examples_of(media.kind) if one["digest"] == digest)
    return next(shipped, None) or _drawn.get(digest)


def truth_of(entry: dict, media: Media, question: str) -> Truth | None:
    """The right answer to one of the questions of an upload that this project has drawn.

    A box lies on the last sampled frame, so it holds only for the number of frames that the index
    names.
    """
    for known in entry["questions"]:
        if known["question"].casefold() == question.casefold():
            box = known.get("box")
            sampled = entry.get("frames", 1) == len(media.frames)
            return Truth(known["answer"], tuple(box) if box and sampled else None)
    return None


def file_digest(path: str | Path) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
