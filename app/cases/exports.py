"""Writes chosen cases for other programs: JSON lines, CSV, Parquet, recordings, LLM Comparator."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.cases.filters import Table
from app.cases.page_file import write_page
from app.recording import storage
from app.render.text import escape_formula

LANE_FIGURES = (
    "answer", "right", "score", "iou", "failure", "ratio", "kept", "merged", "dropped",
    "ttft_ms", "total_ms", "object_tokens", "object_kept", "object_merged", "object_dropped",
    "on_object", "shift", "reason",
)  # fmt: skip
LEFT_OUT = "left-out.txt"  # of a folder of recordings: a case a line, with the reason
BEST = 1.5  # LLM Comparator's score for "A is much better"


def export(table: Table, chosen: Sequence[str], path: Path, lanes: Sequence[str] = ()) -> Path:
    """Write the chosen cases in the form that the path's ending names; a folder holds recordings.

    A case that has no recording, such as one whose picture is missing, is named in `LEFT_OUT`.

    Args:
        lanes: Two, for LLM Comparator; default: the first two.

    Raises:
        ValueError: No case is chosen, or none has a recording, or the ending is unknown.
    """
    if not chosen:
        raise ValueError("No case passes the filter; nothing was written.")
    writers: dict[str, Callable[[Path], None]] = {
        ".jsonl": lambda file: _jsonl(table, chosen, file),
        ".csv": lambda file: _csv(table, chosen, file),
        ".parquet": lambda file: _parquet(table, chosen, file),
        ".html": lambda file: write_page(table, chosen, file),
        ".json": lambda file: _comparator(table, chosen, file, lanes),
    }
    if not path.suffix:
        _recordings(table, chosen, path)
        return path
    if path.suffix not in writers:
        raise ValueError(
            f"{path.name} has an unknown ending; wanted {', '.join(writers)}, or a folder's name."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    try:
        writers[path.suffix](fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return path


def rows(table: Table, chosen: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each case with the figures of its lanes, JSON-able."""
    figures = {name: table.figure(name) for name in LANE_FIGURES}
    for case_id in chosen:
        case, about = table.run.cases[case_id], table.cases.loc[case_id]
        yield {
            "id": case_id,
            "file": case.picture,
            "question": case.question,
            "answers": list(case.answers),
            "box": case.box and list(case.box),
            "kind": case.kind,
            "tags": list(about.tags),
            "verdict": about.verdict,
            "note": about.note,
            "lanes": {
                lane: {
                    name: plain(frame.at[case_id, lane])
                    for name, frame in figures.items()
                    if plain(frame.at[case_id, lane]) is not None
                }
                for lane in table.lanes_of(case_id)
            },
        }


def plain(value: Any) -> Any:
    """A cell of a frame as JSON: None for what is missing."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def _jsonl(table: Table, chosen: Sequence[str], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows(table, chosen):
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _csv(table: Table, chosen: Sequence[str], path: Path) -> None:
    about = ("id", "file", "question", "answers", "box", "kind", "tags", "verdict", "note")
    head = [*about, *(f"{lane} {name}" for lane in table.lanes for name in LANE_FIGURES)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(escape_cell, head))
        for row in rows(table, chosen):
            cells = [row[name] for name in about]
            cells += [
                row["lanes"].get(lane, {}).get(name)
                for lane in table.lanes
                for name in LANE_FIGURES
            ]
            writer.writerow(map(escape_cell, cells))


def escape_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula; lists are joined by commas."""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return escape_formula(value) if isinstance(value, str) else value


def _parquet(table: Table, chosen: Sequence[str], path: Path) -> None:
    flat = [
        {key: value for key, value in row.items() if key != "lanes"} | {"lane": lane, **figures}
        for row in rows(table, chosen)
        for lane, figures in row["lanes"].items()
    ]
    columns = dict.fromkeys(key for row in flat for key in row)
    pq.write_table(pa.table({key: [row.get(key) for row in flat] for key in columns}), path)


def _recordings(table: Table, chosen: Sequence[str], folder: Path) -> None:
    left_out = []
    for case_id in chosen:
        try:
            comparison = table.run.comparison(case_id)
        except ValueError as error:
            left_out.append(f"{case_id}: {error}")
        else:
            storage.save(comparison, folder / case_id)
    if len(left_out) == len(chosen):
        raise ValueError(f"No case could be recorded. {left_out[0]}")
    (folder / LEFT_OUT).unlink(missing_ok=True)
    if left_out:
        (folder / LEFT_OUT).write_text("\n".join(left_out) + "\n", encoding="utf-8")


def _comparator(table: Table, chosen: Sequence[str], path: Path, lanes: Sequence[str]) -> None:
    """The JSON file of LLM Comparator: a score above 0 means that the first lane is better."""
    first, second = lanes or (*table.lanes, *table.lanes)[:2]
    answer, score = table.figure("answer"), table.figure("score")
    for lane in (first, second):
        if lane not in table.lanes:
            raise ValueError(f"There is no lane {lane!r}; there are {', '.join(table.lanes)}.")
    examples = []
    for case_id in chosen:
        case, about = table.run.cases[case_id], table.cases.loc[case_id]
        better = plain(score.at[case_id, first]) or 0, plain(score.at[case_id, second]) or 0
        examples.append(
            {
                "input_text": case.question,
                "tags": [tag for tag in (case.kind, *about.tags) if tag],
                "output_text_a": plain(answer.at[case_id, first]) or "",
                "output_text_b": plain(answer.at[case_id, second]) or "",
                "score": BEST * (better[0] - better[1]),
                "individual_rater_scores": [],
                "custom_fields": {"case": case_id, "true answer": " | ".join(case.answers)},
            }
        )
    schema = [{"name": name, "type": "string"} for name in ("case", "true answer")]
    content = {
        "metadata": {"source_path": table.run.name, "custom_fields_schema": schema},
        "models": [{"name": first}, {"name": second}],
        "examples": examples,
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
