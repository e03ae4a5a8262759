"""Asks many questions: cases × methods → answers, over processes, with progress and resume.

`ask` runs the methods of one case in this process, `Processes` does so in several, and `ask_all`
runs all cases by either. bench, findings, lmms-eval and the gallery ask through this module.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from app.resume import Store, ask_missing
from app.settings import ROOT, Settings
from app.worker.conditions import conditions
from models.catalog import INT4, find
from models.engine.base import Adapter, Prompt
from models.engine.checks import Gaze
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult, Truth
from models.grounding import iou
from models.loading import load
from models.uploads.media import Media, MediaError
from pruning.base import CompressionMethod, Needs
from pruning.budget import BudgetError
from pruning.errors import UnsupportedError
from pruning.tokens import VisualTokens

ACCURATE_IOU = 0.5
ANSWERING = ("pruning", "models", "app/jobs.py", "app/measure/asking.py", "app/resume.py")

T, Item = TypeVar("T"), TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Case:
    """One question about one upload, and the methods that answer it."""

    name: str  # unique in a run; stored answers are found by it
    media: Media | Callable[[], Media]  # a callable is called where the case is asked
    question: str
    methods: tuple[CompressionMethod, ...]
    max_new_tokens: int = 32
    temperature: float = 0.0
    truth: Truth | None = None
    sort: str = ""  # of question: rates are given for each sort
    gaze: Gaze = ()  # where the asker looks


@dataclass(frozen=True)
class Answer:
    """One method's answer to one case."""

    text: str
    sort: str
    overlap: float | None  # IoU of the first box with the true one; None where no box is asked for
    exact: bool | None  # the text is the true answer; None where a box is asked for
    ratio: float  # measured
    averages: dict[str, float]  # visual tokens per LLM layer, see `pruning.budget.Averages`

    @property
    def right(self) -> bool:
        return is_right(self.overlap, self.exact)


@dataclass(frozen=True)
class Refusal:
    """Why a method does not answer a case."""

    reason: str
    smallest: float | None = None  # ratio that the method accepts, where the ratio is the reason


Answers = list[Answer | Refusal]  # in the order of a case's methods


def score(text: str, boxes: np.ndarray, truth: Truth | None) -> tuple[float | None, bool | None]:
    """IoU of the first box with the true one, or whether the text is the true answer."""
    if truth is None:
        return None, None
    if truth.box is None:
        return None, text.strip() == truth.answer
    return (float(iou(truth.box, boxes[:1])[0]) if len(boxes) else 0.0), None


def is_right(overlap: float | None, exact: bool | None) -> bool:
    """Whether a score is that of a right answer."""
    return bool(exact) if overlap is None else overlap >= ACCURATE_IOU


def judge(case: Case, result: LaneResult) -> Answer:
    """Compares a result with the truth of its case."""
    overlap, exact = score(result.answer, result.boxes, case.truth)
    assert result.averages is not None  # only recordings of an old version lack them
    return Answer(
        text=result.answer,
        sort=case.sort,
        overlap=overlap,
        exact=exact,
        ratio=result.trace.average,
        averages=asdict(result.averages),
    )


def ask(
    adapter: Adapter, case: Case, record: Callable[[Case, LaneResult], T] = judge
) -> list[T | Refusal]:
    """Runs the methods of one case in turn; `record` makes of each result what is kept.

    An unusable file, or an input that a method cannot take, becomes a `Refusal`. Other errors are
    raised: a bug must not look like a refusal.
    """
    try:
        media = case.media if isinstance(case.media, Media) else case.media()
    except MediaError as error:
        return [Refusal(str(error)) for _ in case.methods]
    return [_ask_method(adapter, case, media, method, record) for method in case.methods]


def _ask_method(
    adapter: Adapter,
    case: Case,
    media: Media,
    method: CompressionMethod,
    record: Callable[[Case, LaneResult], T],
) -> T | Refusal:
    limits = {"max_new_tokens": case.max_new_tokens, "temperature": case.temperature}
    try:
        *_, result = run_lane(adapter, media, case.question, method, gaze=case.gaze, **limits)
    except UnsupportedError as error:
        return Refusal(str(error), error.smallest if isinstance(error, BudgetError) else None)
    assert isinstance(result, LaneResult)
    return record(case, result)


def ask_all(
    cases: Sequence[Case],
    ask: Callable[[Sequence[Case]], Iterable[Answers]],
    store: Path | None = None,
    title: str = "questions",
) -> list[Answers]:
    """The answers to all cases, in their order; a bar shows the progress.

    Args:
        ask: Gives the answers to cases in their order, such as `Processes.ask`.
        store: File of one JSON line a case. A run that was stopped, even by kill -9, asks only the
            cases that the file lacks.
        title: Of the progress bar.
    """
    stored: dict[str, Answers] = Store(store, _parse, _line) if store else {}
    ask_missing(cases, ask, stored, title)
    return [stored[case.name] for case in cases]


def _line(name: str, answers: Answers) -> Any:
    return {"case": name, "answers": [asdict(answer) for answer in answers]}


def _parse(stored: Any) -> tuple[str, Answers]:
    return stored["case"], [
        Refusal(**fields) if "reason" in fields else Answer(**fields)
        for fields in stored["answers"]
    ]


def fingerprint(model: str, settings: Settings, *parts: str, code: Sequence[str] = ()) -> str:
    """Digest of all that answers depend on: a store that carries it holds no outdated answer.

    Args:
        model: Its weights are read.
        settings: Device and number format count.
        parts: Further texts, such as the lanes.
        code: Paths of files besides `ANSWERING`.
    """
    card = find(model)
    digest = hashlib.sha256(f"{settings.device} {settings.dtype}{INT4 * card.int4}".encode())
    for part in (card.source, *ANSWERING, *code):
        path = ROOT / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in (".py", ".json", ".safetensors"):
                digest.update(file.relative_to(ROOT).as_posix().encode() + meaning(file))
    digest.update(" ".join(parts).encode())
    return digest.hexdigest()[:12]


def meaning(file: Path) -> bytes:
    """What answers depend on in a file: of Python its code without comments and docstrings."""
    if file.suffix != ".py":
        return file.read_bytes()
    tree = ast.parse(file.read_text())
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree).encode()


class Processes(AbstractContextManager["Processes"]):
    """Processes of one thread each that hold the model; one a core by default.

    They encode the upload of a case once for all methods that need the same of it.
    """

    def __init__(self, model: str, settings: Settings, jobs: int | None = None) -> None:
        self.count = jobs or (os.cpu_count() if find(model).ships else 1) or 1  # 1: memory
        self._pool = ProcessPoolExecutor(
            self.count,
            get_context("spawn"),
            initializer=_start,
            initargs=(model, settings),
        )

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ask(self, cases: Sequence[Case]) -> Iterator[Answers]:
        return self.map(ask, cases)

    def map(self, look: Callable[[Adapter, Item], T], items: Iterable[Item]) -> Iterator[T]:
        """`look(adapter, item)` for each item, in order; `look` is a function of a module."""
        return self._pool.map(partial(_look, look), items)

    def conditions(self) -> dict[str, str]:
        return self._pool.submit(_conditions).result()


_adapter: Adapter  # of a child process, loaded by `_start`


def _start(model: str, settings: Settings) -> None:
    global _adapter
    torch.set_num_threads(1)
    _adapter = load(model, settings.device or None, settings.dtype or None)


def _look(look: Callable[[Adapter, Item], T], item: Item) -> T:
    adapter: Any = EncodedOnce(_adapter)
    return look(adapter, item)


def _conditions() -> dict[str, str]:
    return conditions(_adapter)


class EncodedOnce:
    """An adapter that encodes the upload of one case once for all methods with the same needs."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter, self._encoded = adapter, dict[tuple[Needs, Any], VisualTokens]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def encode(self, prompt: Prompt, needs: Needs) -> VisualTokens:
        key = needs, prompt.layout.grid  # a smaller picture has another grid
        if key not in self._encoded:
            self._encoded[key] = self._adapter.encode(prompt, needs)
        return self._encoded[key]
