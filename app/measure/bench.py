"""Accuracy and time over drawn scenes or clips: methods by ratios, a table and one JSON line."""

from __future__ import annotations

import os
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from multiprocessing import get_context

import torch
from tqdm import tqdm

from app.jobs import first_kind, lanes_at
from app.render.table import text_table
from app.settings import Settings
from app.worker.conditions import conditions
from models.catalog import CATALOG, find
from models.embedded.world import clip_questions, questions
from models.embedded.world.clips import as_media
from models.embedded.world.hard import PLAIN, Split, find_split, hard_clip, hard_scene
from models.embedded.world.questions import Question
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.grounding import iou
from models.loading import check, load
from models.uploads.media import Media, drawn
from pruning import methods as known
from pruning.base import CompressionMethod
from pruning.budget import Averages, BudgetError

ACCURATE_IOU = 0.5
MAX_NEW_TOKENS = 32
METHODS = {
    "scenes": "vanilla,visionzip,nuwa,pooling",
    "clips": "vanilla,flashvid,fastvid,prunevid,ttm,visionzip,frames,pooling",
}
EVERY = "all"  # typed for methods
RATIOS = {"scenes": "0.333,0.222,0.111", "clips": "0.25,0.20,0.15,0.10"}


@dataclass(frozen=True)
class Outcome:
    """One lane's answer to one question."""

    sort: str  # of question
    overlap: float | None  # IoU of the first box with the true one; None where no box was asked for
    exact: bool | None  # the answer is the true one; None where a box was asked for
    ratio: float  # measured
    averages: Averages
    ttft: float  # seconds
    total: float


@dataclass(frozen=True)
class Row:
    """One method at one ratio over all scenes. Rates are shares of 1, times medians in ms."""

    method: str
    retention_ratio: float | None
    measured_ratio: float | None = None
    averages: dict[str, float] | None = None  # visual tokens a layer, in the three ways of counting
    grounding: float | None = None  # Acc@0.5
    mean_iou: float | None = None
    other: float | None = None  # exact answers
    sorts: dict[str, float] | None = None  # exact answers by sort of question
    ttft_ms: float | None = None
    total_ms: float | None = None
    refused: str = ""
    smallest: float | None = None  # ratio that it does not refuse


def bench(
    model: str,
    count: int,
    seed: int,
    methods: Sequence[str],
    ratios: Sequence[float],
    positions: str,
    settings: Settings,
    jobs: int | None = None,
    split: str = "plain",
) -> dict:
    """Every method at every ratio answers the same questions about `count` scenes or clips.

    `split` names how they differ from those of training. Vanilla answers once. The questions are
    spread over `jobs` processes of one thread each, by default one a core.
    """
    unit = drawn_as(model)
    if count < 1:
        raise ValueError(f"{count} {unit} came, wanted at least 1.")
    draw = _clips if unit == "clips" else _scenes
    cases = list(draw(count, seed, find_split(split)))
    lanes = list(lanes_at(methods, ratios, find(model).family, positions))
    check(find(model), settings.device or None, settings.dtype or None)  # a pool would not say why
    jobs = jobs or (1 if find(model).revision else os.cpu_count()) or 1
    ask = partial(_ask, methods=[method for _, method in lanes])
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_start, initargs=(model, settings)
    ) as pool:
        told = pool.submit(_conditions).result()
        answered = pool.map(ask, cases, chunksize=4)
        quiet = not sys.stderr.isatty()
        outcomes = list(tqdm(answered, desc="questions", total=len(cases), disable=quiet))
    rows = [
        _row(name, method, [outcome[index] for outcome in outcomes])
        for index, (name, method) in enumerate(lanes)
    ]
    return {
        "model": model,
        unit: count,
        "seed": seed,
        "split": split,
        "positions": positions,
        "questions": {
            "grounding": sum(question.box is not None for _, question in cases),
            "other": sum(question.box is None for _, question in cases),
            "sorts": dict(Counter(question.sort for _, question in cases)),
        },
        "conditions": told | {"processes": str(jobs)},
        "rows": [asdict(row) for row in rows],
    }


def drawn_as(model: str) -> str:
    """What a model is asked about: "scenes" or "clips"."""
    return {"image": "scenes", "video": "clips"}[first_kind(find(model))]


def every_method(model: str) -> Iterator[str]:
    """Each method that takes what the model is asked about, by name, and its other presets.

    Presets named after a family of models are left out: they are the same method, counted for it.
    """
    kind, families = first_kind(find(model)), {card.family for card in CATALOG}
    for method in known.METHODS:
        if kind in method.media:
            _, *others = method.PRESETS
            yield method.name
            yield from (f"{method.name}:{o}" for o in others if o not in families)


def _scenes(count: int, seed: int, split: Split = PLAIN) -> Iterator[tuple[Media, Question]]:
    draw = partial(hard_scene, split)
    for picture, question in questions.evaluation_questions(count, seed, draw=draw):
        yield drawn(picture), question


def _clips(count: int, seed: int, split: Split = PLAIN) -> Iterator[tuple[Media, Question]]:
    draw = partial(hard_clip, split)
    for clip, question in clip_questions.evaluation_questions(count, seed, draw=draw):
        yield as_media(clip), question


_adapter: Adapter  # of this process, once `_start` has loaded it


def _start(model: str, settings: Settings) -> None:
    global _adapter
    torch.set_num_threads(1)
    _adapter = load(model, settings.device or None, settings.dtype or None)


def _conditions() -> dict[str, str]:
    return conditions(_adapter)


def _ask(
    case: tuple[Media, Question], methods: Sequence[CompressionMethod]
) -> list[Outcome | BudgetError]:
    """What each method makes of one question; the refusal where it cannot go as low."""
    media, question = case
    outcomes: list[Outcome | BudgetError] = []
    for method in methods:
        try:
            *_, result = run_lane(
                _adapter, media, question.text, method, max_new_tokens=MAX_NEW_TOKENS
            )
        except BudgetError as error:
            outcomes.append(error)
        else:
            assert isinstance(result, LaneResult)
            outcomes.append(_outcome(question, result))
    return outcomes


def _outcome(question: Question, result: LaneResult) -> Outcome:
    (overlap, exact), timeline = judged(question, result), result.timeline
    assert result.averages is not None  # of every lane that ran just now
    ratio, averages = result.trace.average, result.averages
    return Outcome(question.sort, overlap, exact, ratio, averages, timeline.ttft, timeline.total)


def judged(question: Question, result: LaneResult) -> tuple[float | None, bool | None]:
    """IoU of the first box where one was asked for, else whether the answer is the true one."""
    if question.box is None:
        return None, result.answer.strip() == question.answer
    return float(iou(question.box, result.boxes[:1])[0]) if len(result.boxes) else 0.0, None


def _row(name: str, method: CompressionMethod, outcomes: Sequence[Outcome | BudgetError]) -> Row:
    ratio = getattr(method, "retention_ratio", None)
    ran = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    if len(ran) < len(outcomes):
        refusal = next(told for told in outcomes if isinstance(told, BudgetError))
        return Row(name, ratio, refused=str(refusal), smallest=refusal.smallest)
    boxed = [outcome.overlap for outcome in ran if outcome.overlap is not None]
    worded = [outcome for outcome in ran if outcome.exact is not None]
    return Row(
        method=name,
        retention_ratio=ratio,
        measured_ratio=statistics.mean(outcome.ratio for outcome in ran),
        averages={
            way.name: statistics.mean(getattr(outcome.averages, way.name) for outcome in ran)
            for way in fields(Averages)
        },
        grounding=_mean([overlap >= ACCURATE_IOU for overlap in boxed]),
        mean_iou=_mean(boxed),
        other=_mean([outcome.exact for outcome in worded]),
        sorts={
            sort: _mean([outcome.exact for outcome in worded if outcome.sort == sort])
            for sort in sorted({outcome.sort for outcome in worded})
        },
        ttft_ms=1e3 * statistics.median(outcome.ttft for outcome in ran),
        total_ms=1e3 * statistics.median(outcome.total for outcome in ran),
    )


def _mean(values: Sequence[float | bool]) -> float | None:
    return statistics.mean(map(float, values)) if values else None


def table(report: dict) -> str:
    """The report as fixed-width text."""
    heads = ("method", "asked", "run", "Acc@0.5", "mIoU", "exact", "TTFT ms", "total ms")
    lines = []
    for row in report["rows"]:
        asked = "" if row["retention_ratio"] is None else f"{row['retention_ratio']:.1%}"
        if row["refused"]:
            lines.append((row["method"], asked, "refused: " + row["refused"]))
            continue
        lines.append(
            (
                row["method"],
                asked,
                f"{row['measured_ratio']:.1%}",
                *(_rate(row[name]) for name in ("grounding", "mean_iou", "other")),
                f"{row['ttft_ms']:.1f}",
                f"{row['total_ms']:.1f}",
            )
        )
    return text_table(heads, lines, numbers=True)


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
