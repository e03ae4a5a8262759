"""Chooses what each example shows, and records the comparison that the page opens with.

Asks the questions of every example at several ratios. The examples together show that methods
hold, that some fail, that a baseline wins and that all fail, as often as the model allows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from PIL import Image

from app.example_uploads import STORIES, STORY, THUMBS, examples_of
from app.jobs import LANES
from app.notebook import Model, load
from app.recording import storage
from app.render.headline import headline, is_right
from app.render.summary import lane_rows
from app.settings import EXAMPLES
from models.engine.record import Comparison
from pruning.methods import METHODS

MODELS = {"image": "embedded-image", "video": "embedded-video"}
RATIOS = (0.111, 0.222, 0.333)
QUESTIONS = 3  # of each example that are asked
THUMB = 128  # pixels
KINDS = ("split", "baseline", "hold", "lost")  # the first is the story of the first view
BASELINES = {method.name for method in METHODS if not method.paper}


@dataclass(frozen=True)
class Candidate:
    """One comparison that an example can show."""

    file: str
    question: str
    ratio: float
    kind: str
    comparison: Comparison

    @property
    def boxed(self) -> bool:
        return self.comparison.truth is not None and self.comparison.truth.box is not None


def draw() -> Iterator[Path]:
    """Write the story of each example, their thumbnails, and the recording of the first view."""
    index = []
    for kind, name in MODELS.items():
        model = load(name)
        chosen = choose([_candidates(model, kind, example) for example in examples_of(kind)])
        for one in chosen:
            index.append(_entry(one, kind))
            yield _thumbnail(one)
        if kind == "image":
            yield _record(model, first_view(chosen))
    STORIES.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    yield STORIES


def kind_of(comparison: Comparison) -> str | None:
    """What a comparison shows, one of `KINDS`; None if vanilla is wrong or a lane failed."""
    vanilla, *others = lane_rows(comparison)
    right = [is_right(row) for row in others]
    if not is_right(vanilla) or None in right:
        return None
    if all(right) or not any(right):
        return "hold" if all(right) else "lost"
    winners = {row["method"] for row, is_one in zip(others, right, strict=True) if is_one}
    return "baseline" if winners <= BASELINES else "split"


def choose(candidates: list[list[Candidate]]) -> list[Candidate]:
    """One candidate for each example: of the kind that is rarest so far, boxes first."""
    counts: Counter[str] = Counter()
    chosen = {}
    for index in sorted(range(len(candidates)), key=lambda one: len(candidates[one])):
        best = min(
            candidates[index],
            key=lambda one: (counts[one.kind], KINDS.index(one.kind), not one.boxed, one.ratio),
        )
        counts[best.kind] += 1
        chosen[index] = best
    return [chosen[index] for index in range(len(candidates))]


def first_view(chosen: list[Candidate]) -> Candidate:
    """The story of a box that some methods keep and others lose."""
    return min(chosen, key=lambda one: (not one.boxed, KINDS.index(one.kind), one.ratio))


def _candidates(model: Model, kind: str, example: dict) -> list[Candidate]:
    found, wrong = [], []
    for entry in example["questions"][:QUESTIONS]:
        for ratio in RATIOS:
            question = entry["question"]
            comparison = _ask(model, kind, example["file"], question, ratio)
            shows = kind_of(comparison)
            one = Candidate(example["file"], question, ratio, shows or KINDS[-1], comparison)
            (found if shows else wrong).append(one)
    return found or wrong[:1]


def _ask(model: Model, kind: str, file: str, question: str, ratio: float) -> Comparison:
    return model.compare(EXAMPLES / file, question, LANES[kind], retention_ratio=ratio)


def _entry(one: Candidate, kind: str) -> dict:
    return {
        "file": one.file,
        "question": one.question,
        "retention_ratio": one.ratio,
        "methods": list(LANES[kind]),
        "kind": one.kind,
        "says": headline(one.comparison, timed=False),
    }


def _thumbnail(one: Candidate) -> Path:
    frames = one.comparison.media.frames
    picture = Image.fromarray(frames[len(frames) // 2])
    picture.thumbnail((THUMB, THUMB))
    path = THUMBS / f"{Path(one.file).stem}.jpg"
    path.parent.mkdir(exist_ok=True)
    picture.save(path, quality=84)
    return path


def _record(model: Model, one: Candidate) -> Path:
    """Ask once more, warm, and save the comparison with its date."""
    warm = _ask(model, "image", one.file, one.question, one.ratio)
    dated = {**warm.conditions, "recorded": date.today().isoformat()}
    return storage.save(replace(warm, conditions=dated), STORY)
