"""Accuracy over drawn scenes or clips: methods by ratios, one report."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.drawn import draw_questions, truth_of
from app.jobs import first_kind, lanes_at
from app.measure import foil
from app.measure.asking import (
    ACCURATE_IOU,
    Answer,
    Case,
    Processes,
    Refusal,
    ask_all,
    fingerprint,
)
from app.measure.report import NONE, lane_table
from app.settings import ROOT, Settings
from models.catalog import CATALOG, find
from models.embedded.world.hard import find_split
from models.embedded.world.questions import Question
from models.engine.checks import check_kind, check_unattended
from models.loading import check
from models.uploads.media import Media
from models.weights import identify
from pruning.base import CompressionMethod
from pruning.errors import UnsupportedError
from pruning.methods import METHODS as ALL_METHODS

METHODS = {
    "scenes": "vanilla,downsample,visionzip,nuwa,pooling",
    "clips": "vanilla,downsample,flashvid,fastvid,prunevid,ttm,visionzip,frames,pooling",
}
ANSWERS = ROOT / "out" / "bench"
CODE = ("app/drawn.py", "app/measure/bench.py")
EVERY = "all"  # typed for methods
RATIOS = {"scenes": "0.333,0.222,0.111", "clips": "0.25,0.20,0.15,0.10"}


@dataclass(frozen=True)
class Row:
    """One method at one ratio over all uploads. Rates are shares of 1."""

    method: str
    retention_ratio: float | None
    measured_ratio: float | None = None
    averages: dict[str, float] | None = None  # visual tokens a layer, see `pruning.budget.Averages`
    grounding: float | None = None  # Acc@0.5
    mean_iou: float | None = None
    other: float | None = None  # exact answers
    sorts: dict[str, float | None] | None = None  # exact answers by sort of question
    refused: str = ""
    smallest: float | None = None  # ratio that is not refused


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
    go_on: bool = False,
) -> dict[str, Any]:
    """Asks every method at every ratio the same questions about `count` scenes or clips.

    Args:
        seed: Number of the first scene or clip.
        split: How they differ from those of training.
        jobs: Processes of one thread each; one a core by default.
        go_on: Stores the answers, and asks only what no earlier run of this code has asked.
    """
    unit, kind, hardness = drawn_as(model), first_kind(find(model)), find_split(split)
    if count < 1:
        raise ValueError(f"{count} {unit} came, wanted at least 1.")
    lanes = list(lanes_at(methods, ratios, find(model).family, positions))
    for _, method in lanes:
        check_kind(method.label, "method", method.media, kind)
    check(find(model), settings.device or None, settings.dtype or None)  # a pool would not say why
    tried = tried_of(lanes)
    cases = [
        _case(number, tried, media, question)
        for number, (media, question, _) in enumerate(draw_questions(kind, count, seed, hardness))
    ]
    named = fingerprint(model, settings, repr(lanes), positions, split, f"{seed}", code=CODE)
    store = ANSWERS / f"{model}-{named}.jsonl" if go_on else None
    conditions, columns = ask_lanes(model, lanes, cases, settings, jobs, store)
    about = {"model": model, "weights": identify(find(model)), unit: count, "seed": seed}
    about |= {"split": split, "positions": positions}
    return about | {
        "questions": _count(cases),
        "conditions": conditions,
        "rows": [asdict(summarize(*lane, one)) for lane, one in zip(lanes, columns, strict=True)],
        "against_downsampling": foil.pairs(lanes, columns),
    }


def _case(
    number: int, methods: tuple[CompressionMethod, ...], media: Media, question: Question
) -> Case:
    truth = truth_of(question)
    return Case(f"{number}", media, question.text, methods, 32, 0.0, truth, question.sort)


def refusal_of(method: CompressionMethod) -> Refusal | None:
    """Why no question is asked of a method."""
    try:
        check_unattended(method.label, method.needs)
    except UnsupportedError as error:
        return Refusal(str(error))
    return None


def tried_of(lanes: Sequence[foil.Lane]) -> tuple[CompressionMethod, ...]:
    """The methods of the lanes that questions are asked of."""
    return tuple(method for _, method in lanes if refusal_of(method) is None)


def ask_lanes(
    model: str,
    lanes: Sequence[foil.Lane],
    cases: Sequence[Case],
    settings: Settings,
    jobs: int | None,
    store: Path | None = None,
) -> tuple[dict[str, str], list[Sequence[Answer | Refusal]]]:
    """Asks all cases in processes of their own, which encode an upload once for all methods.

    Args:
        cases: Each with the methods of `tried_of`.
        store: File of the answers; what it holds is not asked again.

    Returns:
        The machine and the settings, and of each lane the answers to all questions, or one refusal
        if it is asked none.
    """
    with Processes(model, settings, jobs) as processes:
        conditions = processes.conditions() | {"processes": str(processes.count)}
        asked = iter(zip(*ask_all(cases, processes.ask, store, model), strict=True))
    refused = (refusal_of(method) for _, method in lanes)
    return conditions, [next(asked) if reason is None else (reason,) for reason in refused]


def _count(cases: Sequence[Case]) -> dict[str, Any]:
    """Number of questions for a box, of others, and of each sort."""
    boxed = sum(case.truth.box is not None for case in cases if case.truth)
    sorts = dict(Counter(case.sort for case in cases))
    return {"grounding": boxed, "other": len(cases) - boxed, "sorts": sorts}


def drawn_as(model: str) -> str:
    """What a model is asked about: "scenes" or "clips"."""
    return {"image": "scenes", "video": "clips"}[first_kind(find(model))]


def every_method(model: str) -> Iterator[str]:
    """Names of all methods that take the model's uploads, each followed by its presets.

    Presets named after a model family are left out: they are the same method, counted for it.
    """
    kind, families = first_kind(find(model)), {card.family for card in CATALOG}
    for method in ALL_METHODS:
        if kind in method.media:
            _, *others = method.PRESETS
            yield method.name
            yield from (f"{method.name}:{o}" for o in others if o not in families)


def summarize(name: str, method: CompressionMethod, answers: Sequence[Answer | Refusal]) -> Row:
    """The row of one lane; one refusal refuses the lane."""
    ratio = getattr(method, "retention_ratio", None)
    for refusal in answers:
        if isinstance(refusal, Refusal):
            return Row(name, ratio, refused=refusal.reason, smallest=refusal.smallest)
    ran = [answer for answer in answers if isinstance(answer, Answer)]
    overlaps = [answer.overlap for answer in ran if answer.overlap is not None]
    exact: dict[str, list[bool]] = {}
    for answer in ran:
        if answer.exact is not None:
            exact.setdefault(answer.sort, []).append(answer.exact)
    return Row(
        method=name,
        retention_ratio=ratio,
        measured_ratio=statistics.mean(answer.ratio for answer in ran),
        averages={
            way: statistics.mean(answer.averages[way] for answer in ran) for way in ran[0].averages
        },
        grounding=_mean([overlap >= ACCURATE_IOU for overlap in overlaps]),
        mean_iou=_mean(overlaps),
        other=_mean([right for rights in exact.values() for right in rights]),
        sorts={sort: _mean(rights) for sort, rights in sorted(exact.items())},
    )


def _mean(values: Sequence[float | bool]) -> float | None:
    return statistics.mean(map(float, values)) if values else None


def table(report: Mapping[str, Any]) -> str:
    """The report as fixed-width text; then each method against down-sampling, if it ran."""

    def rate(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda row: NONE if row[name] is None else f"{row[name]:.3f}"

    lines = lane_table(
        report["rows"],
        {
            "Acc@0.5": rate("grounding"),
            "mIoU": rate("mean_iou"),
            "exact": rate("other"),
        },
    )
    return f"{lines}\n{foil.table(report)}".rstrip()
