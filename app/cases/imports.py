"""Lanes of other programs: lmms-eval's samples, VLMEvalKit's predictions, lists of kept tokens.

A log has answers and no tokens, so its lanes have no overlay. A list of kept tokens has both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from app.cases.cells import read_cells
from app.cases.lanes import Row, judged, row_of
from app.cases.record import BadRow, Case, CaseSet, case_id
from app.cases.scores import RIGHT
from app.cases.sets import Pictures
from app.cases.store import Run, add_lane, begin, writing
from app.cases.tables import read_rows, sort_rows
from app.settings import Settings
from models.engine.record import LaneResult, Timeline
from models.grounding import parse_boxes
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

LMMS, VLMEVAL, KEPT = "lmms-eval", "VLMEvalKit", "kept tokens"
SCORES = (  # of lmms-eval's samples, from 0 to 1: a number, or an object with a "score"
    "exact_match", "acc", "accuracy", "relaxed_overall", "anls", "pope_accuracy",
    "mme_perception_score", "mme_cognition_score",
)  # fmt: skip
MOST_LAYERS = 1024


@dataclass(frozen=True)
class Answered:
    """One row of a log."""

    cells: dict[str, Any]  # as of a case, without a picture
    index: str
    answer: str
    score: float | None  # that the log gives


def import_file(
    path: Path, folder: Path, settings: Settings, lane: str = "", case_set: CaseSet | None = None
) -> list[BadRow]:
    """Add the lane of a file to a run, or begin a run with it; the rows that found no place.

    Args:
        lane: Its name; default: the name of the file.
        case_set: The cases that a log answers, for their pictures; default: those of the run, or
            cases without pictures.

    Raises:
        ValueError: The file is of no known form, or answers none of the cases.
    """
    lane, rows = lane or path.stem, list(_rows(path, settings.max_cases))
    form = _form(path, [row for _, row in rows if isinstance(row, dict)])
    with writing(folder):
        begun = (folder / "run.json").exists()
        if begun:
            cases: Sequence[Case] | None = list(Run(folder, settings).cases.values())
        else:
            cases = case_set.cases if case_set else None
        pictures = Pictures(path.parent.resolve(), folder / "pictures")
        if form == KEPT:
            found, bad = _kept(rows, pictures, lane, cases)
        else:
            found, bad = _answers(rows, form, lane, cases)
        known = found if cases is None else {case.id for case in cases}
        strange = [case for case, _ in found.values() if case.id not in known]
        bad += [BadRow(case.place, "The run has no such case.") for case in strange]
        kept = [row for case, row in found.values() if case.id in known]
        if not kept:
            first = f" {bad[0].place}: {bad[0].reason}" if bad else ""
            raise ValueError(f"{path.name} answers none of the cases.{first}")
        if not begun:
            new = CaseSet(
                str(path),
                pictures.root,
                pictures.extracted,
                tuple(case for case, _ in found.values()),
            )
            begin(folder, case_set or new, _about())
        add_lane(folder, {"name": lane, "title": lane, "source": form}, kept)
    return bad


def _about() -> dict[str, Any]:
    options = {"max_new_tokens": 64, "temperature": 0.0, "seed": 0, "frames": 1}
    return {"model": "", "weights": "", "prompt": "{}", "lanes": [], "options": options}


def _rows(path: Path, most: int) -> Iterator[tuple[str, dict[str, Any] | BadRow]]:
    if path.suffix == ".xlsx":
        yield from _sheet(path, most)
    else:
        yield from read_rows(path, most)


def _sheet(path: Path, most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    from openpyxl import load_workbook

    try:
        sheet = load_workbook(path, read_only=True, data_only=True).active
        rows = iter([*islice(sheet.iter_rows(values_only=True), most + 2)])
    except Exception as error:  # a damaged zip or XML may raise anything
        raise ValueError(f"{path.name} is no readable Excel file: {error}.") from None
    head = [str(name) for name in next(rows, ())]
    for number, cells in enumerate(rows, start=2):
        if number > most + 1:
            raise ValueError(f"{path.name} has more than {most:,} rows: see TOKENSCOPE_MAX_CASES.")
        filled = {name: cell for name, cell in zip(head, cells, strict=False) if cell is not None}
        yield f"{path.name}, row {number}", filled


def _form(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    first = dict.fromkeys(name for row in rows for name in row)  # an answer may be empty
    if {"doc_id", "filtered_resps"} <= first.keys() or {"doc_id", "resps"} <= first.keys():
        return LMMS
    if {"kept", "grid"} <= first.keys():
        return KEPT
    if {"index", "prediction"} <= first.keys():
        return VLMEVAL
    columns = ", ".join(map(str, list(first)[:10])) or "no row"
    raise ValueError(
        f"{path.name} has {columns}; wanted doc_id and filtered_resps (lmms-eval --log_samples), "
        "index and prediction (VLMEvalKit), or file, question, grid and kept (lists of tokens)."
    )


def _answers(
    rows: Sequence[tuple[str, Any]], form: str, lane: str, cases: Sequence[Case] | None
) -> tuple[dict[str, tuple[Case, Row]], list[BadRow]]:
    """The rows of a log with their cases; without `cases` every row is a case of its own."""
    read = {LMMS: _lmms, VLMEVAL: _vlmeval}[form]
    by_index = {case.index: case for case in cases or ()}

    def answered(row: dict[str, Any], place: str, _: int) -> tuple[Case, Row]:
        given = read(row)
        case = _case(given, place) if cases is None else _match(given, by_index)
        out = judged(case, given.answer, parse_boxes(given.answer))
        if given.score is not None:
            out |= {"score": given.score, "right": given.score >= RIGHT}
        return case, {"case": case.id, "lane": lane, **out}

    return sort_rows(rows, answered)


def _match(given: Answered, by_index: Mapping[str, Case]) -> Case:
    """The case of that index whose question the log repeats."""
    case = by_index.get(given.index)
    asked = str(given.cells["question"]).strip().lower()
    if case is None:
        raise ValueError(f"The run has no case of index {given.index}.")
    if asked not in case.question.lower() and case.question.lower() not in asked:
        raise ValueError(f"Case {given.index} asks {case.question[:60]!r}, the log {asked[:60]!r}.")
    return case


def _case(given: Answered, place: str) -> Case:
    """A case without a picture."""
    cells = read_cells({"file": "none.png", **given.cells})
    return Case(
        id=case_id(f"index {given.index}", cells.question),
        picture="",
        question=cells.question,
        answers=cells.answers,
        box=cells.box if cells.box and max(cells.box) <= 1 else None,
        kind=cells.kind,
        metric=cells.metric,
        place=place,
        index=given.index,
    )


def _lmms(row: Mapping[str, Any]) -> Answered:
    doc = row.get("doc") if isinstance(row.get("doc"), Mapping) else {}
    asked = doc.get("question") or _first_text(row.get("input") or row.get("arguments"))
    cells = {"question": asked, "answers": row.get("target"), "kind": doc.get("category")}
    answer = _first_text(row.get("filtered_resps") or row["resps"])
    cells = {name: value for name, value in cells.items() if value is not None}
    return Answered(cells, str(row["doc_id"]), answer, _lmms_score(row))


def _lmms_score(row: Mapping[str, Any]) -> float | None:
    """The first known metric of a sample. Other numbers, such as a time, are no score."""
    for name in SCORES:
        value = row.get(name)
        value = value.get("score") if isinstance(value, Mapping) else value
        if isinstance(value, (bool, int, float)) and 0 <= value <= 1:
            return float(value)
    return None


def _vlmeval(row: Mapping[str, Any]) -> Answered:
    cells = {name: value for name, value in row.items() if name not in ("image", "image_path")}
    hit = row.get("hit")
    score = float(hit) if isinstance(hit, (bool, int, float)) or hit in ("0", "1") else None
    return Answered(cells, str(row["index"]), str(row.get("prediction", "")), score)


def _first_text(value: Any) -> str:
    """The first text in nested lists."""
    while isinstance(value, (list, tuple)):
        value = value[0]
    if not isinstance(value, str):
        raise ValueError(f"A {type(value).__name__} came where a text is wanted.")
    return value


def _kept(
    rows: Sequence[tuple[str, Any]], pictures: Pictures, lane: str, cases: Sequence[Case] | None
) -> tuple[dict[str, tuple[Case, Row]], list[BadRow]]:
    """The lanes of lists of kept tokens; the answer and box of a case are those of the run."""
    known = {case.id: case for case in cases or ()}

    def drawn(row: dict[str, Any], place: str, number: int) -> tuple[Case, Row]:
        case = pictures.case(row, place, number)
        case = known.get(case.id, case)
        return case, row_of(case, lane, kept_lane(row, lane))

    return sort_rows(rows, drawn)


def kept_lane(row: Mapping[str, Any], lane: str) -> LaneResult:
    """The lane of one list of kept tokens.

    `grid` is [rows, columns] or [frames, rows, columns], `layers` the depth of the LLM, and `kept`
    the indices of the tokens that are left from an LLM layer on, in raster order: {"0": [3, 17, …],
    "16": [17]}; layer 0 is before the LLM.
    """
    frames, height, width = [1, *map(int, row["grid"])][-3:]
    layers = int(row.get("layers", MOST_LAYERS))
    if not (0 < layers <= MOST_LAYERS and 0 < frames * height * width <= 16_384):
        raise ValueError(f"The grid is {row['grid']} over {layers} layers: not a grid of tokens.")
    layout = TokenLayout.regular(frames, height, width)
    alive, steps = np.arange(len(layout)), []
    for layer, indices in sorted((int(key), value) for key, value in dict(row["kept"]).items()):
        kept = np.unique(np.array(indices, dtype=np.int64))
        if len(kept) != len(indices) or not np.isin(kept, alive).all() or not 0 <= layer < layers:
            raise ValueError(
                f"The tokens kept at layer {layer} are not different ones of the {len(alive)} "
                "that were left before."
            )
        at, ones = np.searchsorted(alive, kept), np.ones(len(kept), np.float32)
        steps.append(TraceStep(layer, len(alive), at, np.arange(len(kept)), at, ones))
        alive = kept
    answer = str(row.get("prediction", ""))
    trace = TokenTrace(layout, tuple(steps), layers)
    nothing = Timeline((), 0.0)
    boxes = parse_boxes(answer)
    return LaneResult(lane, lane, {}, None, answer, 0, boxes, trace, nothing, 0, 0, 0.0, None)
