"""Asks every case of a set under every lane, through the worker; a stopped run can resume."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.cases.lanes import Row, row_of
from app.cases.record import Case, CaseSet
from app.cases.results import Results
from app.cases.sets import media_of
from app.cases.store import add_session, begin, writing
from app.jobs import RequestError, check_number, lanes_at
from app.resume import ask_missing
from app.settings import Settings
from app.worker.events import ComparisonDone
from app.worker.protocol import BusyError, Job, Worker
from app.worker.start import backend, jobs_at_once
from models.catalog import ModelCard, find
from models.engine.checks import check_unattended
from models.engine.record import Comparison, LaneFailure, LaneResult
from models.grounding import FORMATS
from models.loading import check
from models.uploads.media import MediaError
from models.weights import identify
from pruning.base import CompressionMethod
from pruning.methods import create

WAITS = (10.0, 60.0)  # seconds until a lost worker is asked again: Ray replaces a replica


@dataclass(frozen=True)
class Plan:
    """How the cases of a set are asked."""

    card: ModelCard
    lanes: dict[str, CompressionMethod]  # by their names in the run, vanilla first
    max_new_tokens: int
    temperature: float
    seed: int
    frames: int

    @property
    def about(self) -> dict[str, Any]:
        """The settings that must be equal for a run to resume."""
        return {
            "model": self.card.name,
            "weights": identify(self.card),
            "prompt": FORMATS[self.card.grounding].question("{}"),
            "lanes": [
                {"name": name, "title": method.label, "knobs": method.knobs}
                for name, method in self.lanes.items()
            ],
            "options": {
                "max_new_tokens": self.max_new_tokens,
                "temperature": self.temperature,
                "seed": self.seed,
                "frames": self.frames,
            },
        }


def plan(
    model: str,
    methods: Sequence[str],
    ratios: Sequence[float],
    settings: Settings,
    positions: str = "published",
    frames: int | None = None,
    **numbers: float,
) -> Plan:
    """Checks names and numbers. Raises `ValueError`s only.

    Args:
        methods: Every one runs at every ratio; vanilla is always the first lane.
        frames: Sampled of a clip; default: as many as the model expects.
        numbers: `max_new_tokens`, `temperature` and `seed` of the request.
    """
    card = find(model)
    check(card, settings.device.split(",")[0] or None, settings.dtype or None)
    for ratio in ratios:
        check_number("retention_ratio", ratio, settings)
    checked = {name: check_number(name, value, settings) for name, value in numbers.items()}
    lanes = {"vanilla": create("vanilla")}
    others = [name for name in methods if name != "vanilla"]
    for name, method in lanes_at(others, ratios, card.family, positions):
        check_unattended(method.label, method.needs)
        lanes[f"{name}@{getattr(method, 'retention_ratio', 1):g}"] = method
    sampled = check_number("num_frames", frames or card.frames, settings)
    return Plan(card, lanes, frames=sampled, **checked)  # type: ignore[arg-type]


def run_cases(
    case_set: CaseSet, plan: Plan, folder: Path, settings: Settings, worker: Worker | None = None
) -> Results:
    """Ask what is not asked yet and store each case as it comes; a bar shows rate and estimate."""
    worker = worker or backend(replace(settings, model=plan.card.name))
    with writing(folder):
        results = Results(folder)
        begin(folder, case_set, plan.about)
        asker = Asker(worker, plan, case_set, folder, settings)
        with ThreadPoolExecutor(jobs_at_once(settings)) as threads:

            def ask(cases: Sequence[Case]) -> Iterator[list[Row]]:
                try:
                    yield from threads.map(asker.ask, cases)
                finally:
                    asker.cancelled.set()
                    threads.shutdown(wait=False, cancel_futures=True)

            ask_missing(case_set.cases, ask, results, "cases")
        results.pack()
    return results


class Asker:
    """Asks one case after another; a case that cannot be asked gives rows with the reason."""

    def __init__(
        self, worker: Worker, plan: Plan, case_set: CaseSet, folder: Path, settings: Settings
    ) -> None:
        self.worker, self.plan, self.case_set = worker, plan, case_set
        self.folder, self.settings = folder, settings
        self.cancelled = threading.Event()
        self._session: int | None = None  # number of this one, from its first answer on
        self._noting = threading.Lock()
        one_axis = plan.card.axes == 1
        self.strategies = [m.positions.before if one_axis else None for m in plan.lanes.values()]

    def ask(self, case: Case) -> list[Row]:
        """A row for each lane. Raises `ValueError` where the worker answers no case at all.

        Raises `BusyError` if the worker stays lost; the run resumes from this case.
        """
        try:
            comparison = self._run_patiently(case)
        except ValueError as error:
            unusable = isinstance(error, MediaError) or self._session is not None
            if self.cancelled.is_set() or isinstance(error, BusyError) or not unusable:
                raise
            lanes: Sequence[LaneResult | LaneFailure] = [
                LaneFailure(method.name, method.label, str(error))
                for method in self.plan.lanes.values()
            ]
        else:
            lanes = comparison.lanes
            self._note(comparison.conditions)
        return [
            row_of(case, name, lane, strategy, self._session or 0)
            for name, lane, strategy in zip(self.plan.lanes, lanes, self.strategies, strict=True)
        ]

    def _run_patiently(self, case: Case) -> Comparison:
        for wait in WAITS:
            try:
                return self.run(case)
            except BusyError:
                if self.cancelled.wait(wait):
                    raise
        try:
            return self.run(case)
        except BusyError as error:
            raise BusyError(
                f"No worker answered {case.place or case.id} in {len(WAITS) + 1} tries. What was "
                "stored is kept: give the same command again when the workers run."
            ) from error

    def run(self, case: Case) -> Comparison:
        """Raises `MediaError` for a file that cannot be used."""
        plan, card, case_set = self.plan, self.plan.card, self.case_set
        try:
            media = media_of(case, case_set.root, case_set.extracted, plan.frames, self.settings)
        except ValueError as error:
            raise MediaError(str(error)) from None
        if media.kind not in card.media:
            raise MediaError(f"{card.title} takes no {media.kind}.")
        question = FORMATS[card.grounding].question(case.question) if case.locate else case.question
        truth = case.truth
        lanes = tuple(plan.lanes.values())
        limits = plan.max_new_tokens, plan.temperature, plan.seed
        job = Job(card.name, media, question, lanes, *limits, truth)
        comparison = None
        for event in self.worker.run(job, self.cancelled):  # to its end: leaving early cancels all
            if isinstance(event, ComparisonDone):
                comparison = event.comparison
        if comparison is None:
            raise RequestError("The run was stopped.")
        return comparison

    def _note(self, conditions: Mapping[str, str]) -> None:
        with self._noting:
            if self._session is None:
                self._session = add_session(self.folder, conditions)
