"""Chooses what each example shows, and records the comparison that the page opens with.

Asks every example's questions at the page's ratio. Together the examples show each outcome as often
as `app/measure/typical.py` has counted it on unseen uploads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from app.example_uploads import STORIES, STORY, THUMBS, examples_of
from app.jobs import LANES, NOUNS
from app.measure.typical import MODELS, kind_of, read
from app.notebook import Model, load
from app.recording import storage
from app.render.headline import headline, is_right
from app.render.summary import lane_rows
from app.request import DEFAULTS
from app.settings import EXAMPLES
from models.engine.record import Comparison
from pruning.ops.apportion import apportion

THUMB = 128  # pixels
Cell = tuple[bool, str]  # whether a box is asked for, and what is shown: see `kind_of`


@dataclass(frozen=True)
class Candidate:
    """One comparison that an example can show, and how often its outcome was measured."""

    file: str
    comparison: Comparison
    cell: Cell
    same: int = 0  # questions of that sort with the same methods right, of `questions`
    questions: int = 0

    @property
    def share(self) -> float:
        return self.same / max(1, self.questions)


def draw() -> Iterator[Path]:
    """Write the story of each example, their thumbnails, and the recording of the first view."""
    index = []
    for kind, name in MODELS.items():
        model, rows, examples = load(name), measured(kind), examples_of(kind)
        asked = [_candidates(model, kind, example, rows) for example in examples]
        chosen = choose(asked, quotas(rows, len(LANES[kind]), len(examples)))
        for one in chosen:
            index.append(_entry(one, kind))
            yield _thumbnail(one)
        if kind == "image":
            yield _record(model, first_view(chosen, rows[True]))
    STORIES.write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    yield STORIES


def measured(kind: str) -> dict[bool, dict[str, Any]]:
    """What was counted at the page's ratio, for boxes (True) and for other questions (False)."""
    ratio = DEFAULTS["retention_ratio"]
    return {row["box"]: row for row in read(kind)["rows"] if row["retention_ratio"] == ratio}


def quotas(rows: Mapping[bool, Mapping[str, Any]], methods: int, examples: int) -> Counter[Cell]:
    """How many of the examples show each outcome, in the measured shares.

    Args:
        methods: Number of methods beside vanilla.
    """
    counts: Counter[Cell] = Counter()
    for box, row in rows.items():
        for names, count in row["right"].items():
            counts[box, kind_of(names, methods)] += count
    shares = torch.tensor(list(counts.values()), dtype=torch.float64)
    room = torch.full((len(counts),), examples)
    quota = apportion(shares / shares.sum() * examples, room, examples)
    return Counter(dict(zip(counts, quota.tolist(), strict=True)))


def choose(candidates: Sequence[Sequence[Candidate]], wanted: Counter[Cell]) -> list[Candidate]:
    """One candidate for each example: the most typical one of the kind that most lacks."""
    left, chosen = wanted.copy(), {}
    for index in sorted(range(len(candidates)), key=lambda one: len(candidates[one])):
        best = max(candidates[index], key=lambda one: (left[one.cell], one.share))
        left[best.cell] -= 1
        chosen[index] = best
    return [chosen[index] for index in range(len(candidates))]


def first_view(chosen: Sequence[Candidate], boxes: Mapping[str, Any]) -> Candidate:
    """The story of a box whose kind, and then whose outcome, is the most frequent of `boxes`."""
    kinds: Counter[str] = Counter()
    for names, count in boxes["right"].items():
        kinds[kind_of(names, len(LANES["image"]))] += count
    return max(chosen, key=lambda one: (one.cell[0], kinds[one.cell[1]], one.share))


def _candidates(
    model: Model, kind: str, example: dict, rows: Mapping[bool, Mapping[str, Any]]
) -> list[Candidate]:
    """Of each question that vanilla answers right; of the first if it answers none."""
    found = []
    for entry in example["questions"]:
        comparison = _ask(model, kind, example["file"], entry["question"])
        vanilla, *others = lane_rows(comparison)
        row = rows[bool(comparison.truth and comparison.truth.box)]
        if is_right(vanilla):
            names = "+".join(one["method"] for one in others if is_right(one))
            cell = row["box"], kind_of(names, len(others))
            same = row["right"].get(names, 0)
            found.append(Candidate(example["file"], comparison, cell, same, row["vanilla"]))
        elif entry == example["questions"][0]:
            first = Candidate(example["file"], comparison, (row["box"], ""))
    return found or [first]


def _ask(model: Model, kind: str, file: str, question: str) -> Comparison:
    return model.compare(EXAMPLES / file, question, LANES[kind])


def _entry(one: Candidate, kind: str) -> dict:
    sort = "questions for a box" if one.cell[0] else "other questions"
    typical = (
        f"On unseen {NOUNS[kind]}s the same methods are right for {100 * one.share:.0f} % of the "
        f"{one.questions} {sort} that vanilla answers right."
    )
    return {
        "file": one.file,
        "question": one.comparison.question,
        "retention_ratio": DEFAULTS["retention_ratio"],
        "methods": list(LANES[kind]),
        "kind": one.cell[1],
        "says": headline(one.comparison, timed=False),
        "typical": typical if one.questions else "",
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
    warm = _ask(model, "image", one.file, one.comparison.question)
    dated = {**warm.conditions, "recorded": date.today().isoformat()}
    return storage.save(replace(warm, conditions=dated), STORY)
