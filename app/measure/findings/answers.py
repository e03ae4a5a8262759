"""Asks a study's questions under all its lanes; a stopped run goes on where it was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.drawn import draw_questions, truth_of
from app.jobs import first_kind
from app.measure.asking import Answer, Case, Processes, Refusal, ask_all, fingerprint
from app.measure.findings.study import Study
from app.settings import Settings
from models.catalog import find
from models.embedded.world import clip_questions
from models.embedded.world.clips import Clip
from models.embedded.world.questions import Question
from models.weights import identify

CODE = (
    "app/drawn.py",
    *(f"app/measure/findings/{name}.py" for name in ("lanes", "study", "answers")),
)


@dataclass(frozen=True)
class Record:
    """One question of a study and the answers of all lanes."""

    seed: int
    index: int  # of the upload
    box: bool  # whether the question asks for a box
    moving: bool | None  # whether its object moves; None where the question leaves that open
    answers: dict[str, Answer | Refusal]  # by the key of the lane


def ask_study(
    study: Study, folder: Path, settings: Settings, jobs: int | None = None
) -> tuple[list[Record], dict[str, str]]:
    """A record a question, upload by upload, and the conditions of the run.

    The store in `folder` is named after all that the answers depend on: see `fingerprint`.
    """
    kind, cases, asked = first_kind(find(study.model)), [], []
    for seed, index in study.uploads():
        methods = tuple(lane.create(seed, index) for lane in study.lanes)
        for number, (media, question, clip) in enumerate(draw_questions(kind, 1, index)):
            name, truth = f"{seed}/{index}/{number}", truth_of(question)
            cases.append(Case(name, media, question.text, methods, 16, 0.0, truth, question.sort))
            asked.append((seed, index, question.box is not None, moves(clip, question)))
    keys = [lane.key for lane in study.lanes]
    store = folder / f"{study.model}-{fingerprint(study.model, settings, *keys, code=CODE)}.jsonl"
    with Processes(study.model, settings, jobs) as processes:
        answers = ask_all(cases, processes.ask, store, study.model)
        conditions = processes.conditions()
    records = [
        Record(*about, dict(zip(keys, given, strict=True)))
        for about, given in zip(asked, answers, strict=True)
    ]
    return records, conditions


def moves(clip: Clip | None, question: Question) -> bool | None:
    """Whether the one object of a question moves.

    None for a picture, for several objects, and for "which way does it move?": a model that sees
    little answers "nowhere", which is right for all objects that stand still.
    """
    if clip is None or len(question.subjects) != 1 or question.sort == "motion":
        return None
    return clip_questions.way(*clip.actors[question.subjects[0]].way) != "nowhere"


def weights_of(study: Study) -> str:
    """Digest of the weights that answered."""
    return identify(find(study.model))
