"""Every lane answers every question of a study, over processes, and goes on where it was stopped.

One line of JSON an upload, kept under a name that changes with the weights, with the code that
answers and with the lanes: an answer is never taken for one that other code would give.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from app.measure.bench import ACCURATE_IOU, judged
from app.measure.findings.study import Study
from app.settings import ROOT, Settings
from app.worker.conditions import conditions
from models.catalog import find
from models.embedded.world import clip_questions, questions
from models.embedded.world.clips import Clip, as_media
from models.embedded.world.questions import Question
from models.engine.base import Adapter, Prompt
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media, drawn
from pruning.base import Needs
from pruning.budget import BudgetError
from pruning.tokens import VisualTokens

MAX_NEW_TOKENS = 16
ANSWERING = (
    "pruning",
    "models",
    "app/request.py",
    "app/measure/bench.py",
    "app/measure/findings/study.py",
    "app/measure/findings/answers.py",
)


class EncodedOnce:
    """An adapter that encodes a question's upload once for all lanes that need the same of it.

    For answers only: a lane's clock would not know what it was spared.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter, self._encoded = adapter, dict[Needs, VisualTokens]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def encode(self, prompt: Prompt, needs: Needs) -> VisualTokens:
        if needs not in self._encoded:
            self._encoded[needs] = self._adapter.encode(prompt, needs)
        return self._encoded[needs]


def answers(study: Study, folder: Path, settings: Settings, jobs: int | None = None) -> list[dict]:
    """One record a question, in the order of the study's cases.

    A record has `seed`, `index`, `sort`, whether it asks for a `box`, whether what it asks about is
    `moving` (None where that has no one answer), and by lane `[right, IoU or None, ratio that ran]`
    or the reason why the method refuses.
    """
    kept = folder / f"{study.model}-{fingerprint(study, settings)}.jsonl"
    cases, ask = list(study.cases()), partial(_case, study, settings)
    jobs = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_start) as pool:
        done = finished(kept, cases, partial(pool.map, ask), study.model)
    return [
        {"seed": seed, "index": index, **question}
        for seed, index in cases
        for question in done[seed, index]
    ]


def finished(
    kept: Path,
    cases: Sequence[tuple[int, int]],
    ask: Callable[[list[tuple[int, int]]], Iterable[list[dict]]],
    title: str = "",
) -> dict[tuple[int, int], list[dict]]:
    """What is kept, and the rest asked and kept one by one, with a progress bar."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines(keepends=True) if kept.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be cut short
    done = {tuple(line["case"]): line["questions"] for line in whole}
    repaired = kept.with_suffix(".new")
    repaired.write_text("".join(json.dumps(line) + "\n" for line in whole), encoding="utf-8")
    repaired.replace(kept)
    left = [case for case in cases if case not in done]
    bar = tqdm(
        ask(left),
        title,
        len(cases),
        initial=len(cases) - len(left),
        disable=not sys.stderr.isatty(),
    )
    with kept.open("a", encoding="utf-8") as file:
        for case, asked in zip(left, bar, strict=True):
            done[case] = asked
            file.write(json.dumps({"case": case, "questions": asked}) + "\n")
            file.flush()
    return done


def fingerprint(study: Study, settings: Settings) -> str:
    """Of all that an answer hangs on: weights, code, lanes, where and in what numbers it runs."""
    digest = hashlib.sha256(f"{settings.device} {settings.dtype}".encode())
    for part in (find(study.model).source, *ANSWERING):
        path = ROOT / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in (".py", ".json", ".safetensors"):
                digest.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    digest.update(" ".join(lane.key for lane in study.lanes).encode())
    return digest.hexdigest()[:12]


def weights_of(study: Study) -> str:
    """Digest of the weights that answered."""
    weights = sorted((ROOT / find(study.model).source).glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:12]


def conditions_of(study: Study, settings: Settings) -> dict[str, str]:
    """In this process as in those that answered."""
    _start()
    return conditions(_adapter(study.model, settings))


def _start() -> None:
    torch.set_num_threads(1)


@lru_cache(maxsize=1)
def _adapter(model: str, settings: Settings) -> Adapter:
    return load(model, settings.device or None, settings.dtype or None)


def _case(study: Study, settings: Settings, case: tuple[int, int]) -> list[dict]:
    """All questions about one drawn upload."""
    return [
        {"sort": question.sort, "box": question.box is not None, "moving": moving}
        | {"lanes": _lanes(study, settings, case, media, question)}
        for media, question, moving in _asked(study, case[1])
    ]


def _asked(study: Study, index: int) -> Iterator[tuple[Media, Question, bool | None]]:
    if study.model == "embedded-image":
        for picture, question in questions.evaluation_questions(1, index):
            yield drawn(picture), question, None
    else:
        for clip, question in clip_questions.evaluation_questions(1, index):
            yield as_media(clip), question, moving(clip, question)


def moving(clip: Clip, question: Question) -> bool | None:
    """Whether the one object that a question is about changes its place.

    None too where the answer would say so: a model that sees little says "nowhere".
    """
    if len(question.subjects) != 1 or question.sort == "motion":
        return None
    way = clip_questions.way(*clip.actors[question.subjects[0]].way)
    return way != "nowhere"


def _lanes(
    study: Study, settings: Settings, case: tuple[int, int], media: Media, question: Question
) -> dict[str, list | str]:
    adapter: Any = EncodedOnce(_adapter(study.model, settings))
    told: dict[str, list | str] = {}
    for lane in study.lanes:
        method = lane.create(*case)
        try:
            *_, result = run_lane(
                adapter, media, question.text, method, max_new_tokens=MAX_NEW_TOKENS
            )
        except BudgetError as error:
            told[lane.key] = str(error)
        else:
            assert isinstance(result, LaneResult)
            told[lane.key] = _outcome(question, result)
    return told


def _outcome(question: Question, result: LaneResult) -> list:
    (overlap, exact), ratio = judged(question, result), round(result.trace.average, 4)
    if overlap is None:
        return [exact, None, ratio]
    return [overlap >= ACCURATE_IOU, round(overlap, 4), ratio]
