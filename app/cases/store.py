"""A run on disk: run.json, cases.parquet, results/*.parquet and people.sqlite.

pandas and DuckDB read the Parquet files: `SELECT * FROM 'runs/NAME/results/*.parquet'`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from app.cases.lanes import FIGURES, Row, lane_of
from app.cases.record import BadRow, Case, CaseSet
from app.cases.results import PACKING, column, decode, write_rows
from app.cases.sets import media_of
from app.settings import ROOT, Settings
from models.engine.record import Comparison
from models.uploads.media import Media

FORMAT, VERSION = "tokenscope-run", 1
CASES = "cases.parquet"
BEGUN = "cases.new"  # cases of a run whose run.json may not be there yet
OWN = ("lock", "pictures", "results", "journal.jsonl", "journal.new", "run.new", BEGUN)
KEYS = ("model", "lanes", "imported", "options", "prompt", "root", "sessions", "bad")


class RunError(ValueError):
    """The folder is not a readable run; the message is one sentence."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """The only writer of a run. Raises `RunError` while another process writes it."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(
                f"Another process writes {folder.name}; wait for it, or choose another folder."
            ) from None
        yield


def begin(folder: Path, case_set: CaseSet, about: Mapping[str, Any]) -> None:
    """Write the settings of a new run, or check that they equal those of the run to resume.

    Raises `RunError` where the folder holds another run: other weights, lanes, options or cases.
    """
    about = json.loads(json.dumps(about))
    begun = folder / BEGUN
    if (folder / "run.json").exists() and begun.exists():  # killed between both files
        os.replace(begun, folder / CASES)
    kept: dict[str, Any] = {"sessions": [], "imported": []}
    if (folder / "run.json").exists():
        old = read_about(folder)
        for key, value in about.items():
            if old[key] != value:
                raise RunError(
                    f"{folder.name} was asked with another {key}: {_short(old[key])}, and "
                    f"{_short(value)} came; choose another folder."
                )
        if {case.id for case in read_cases(folder)} != {case.id for case in case_set.cases}:
            raise RunError(
                f"{folder.name} holds other cases than {case_set.source}; choose another folder."
            )
        kept = {name: old[name] for name in kept}
    elif any(path.name not in OWN for path in folder.iterdir()):
        raise RunError(f"{folder.name} has files and is no run; choose another folder.")
    else:
        write_cases(folder, case_set.cases)
    whole = {"format": FORMAT, "version": VERSION, "source": case_set.source}
    whole |= {"root": _portable(case_set.root), **about, **kept}
    whole["bad"] = [[bad.place, bad.reason] for bad in case_set.bad]
    _write_about(folder, whole)
    if begun.exists():
        os.replace(begun, folder / CASES)


def _portable(root: Path) -> str:
    """Relative to the checkout for what ships with it, so that a shipped run opens anywhere."""
    return str(root.relative_to(ROOT) if root.is_relative_to(ROOT) else root)


def add_session(folder: Path, conditions: Mapping[str, str]) -> int:
    """Note the conditions of the lanes that come now; the number of their session."""
    about = read_about(folder)
    about["sessions"].append(dict(conditions))
    _write_about(folder, about)
    return len(about["sessions"]) - 1


def add_lane(folder: Path, lane: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Add a lane that another program ran. Raises `RunError` for a name that is taken."""
    about = read_about(folder)
    taken = [one["name"] for one in (*about["lanes"], *about["imported"])]
    if lane["name"] in taken:
        raise RunError(f"{folder.name} has a lane {lane['name']}; give another name with --lane.")
    (folder / "imported").mkdir(exist_ok=True)
    write_rows(folder / "imported" / f"{len(about['imported']):05d}.parquet", rows)
    about["imported"].append(dict(lane))
    _write_about(folder, about)


def _write_about(folder: Path, about: Mapping[str, Any]) -> None:
    text = json.dumps(about, ensure_ascii=False, indent=1)
    (folder / "run.new").write_text(text + "\n", encoding="utf-8")
    os.replace(folder / "run.new", folder / "run.json")


def read_about(folder: Path) -> dict[str, Any]:
    try:
        about: Any = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunError(f"{folder.name} has no readable run.json: not a run.") from None
    if (
        not isinstance(about, dict)
        or about.get("format") != FORMAT
        or about.get("version") != VERSION
    ):
        raise RunError(f"{folder.name} is no run of this version; run the set again.")
    if missing := ", ".join(sorted(set(KEYS) - about.keys())):
        raise RunError(f"{folder.name} is damaged: run.json has no {missing}.")
    return about


def read_cases(folder: Path) -> tuple[Case, ...]:
    rows = pq.read_table(folder / CASES).to_pylist()
    for row in rows:
        if not re.fullmatch(r"[0-9a-f]{16}", str(row["id"])):  # exports name folders by it
            raise RunError(f"{folder.name} is damaged: a case has the id {str(row['id'])[:40]!r}.")
        row["box"] = tuple(row["box"]) if row["box"] else None
        row["answers"], row["tags"] = tuple(row["answers"]), tuple(row["tags"])
    return tuple(Case(**row) for row in rows)


class Run:
    """A run, open for reading; results that come later are seen by a new `Run`."""

    def __init__(self, folder: str | Path, settings: Settings | None = None) -> None:
        """Raises `RunError` with one sentence for a folder that is no run, or damaged."""
        self.folder, self.settings = Path(folder), settings or Settings()
        self.about = read_about(self.folder)
        try:
            self.cases = {case.id: case for case in read_cases(self.folder)}
            tables = [pq.read_table(path, columns=FIGURES.names) for path in self._parts]
            journal = [{key: row.get(key) for key in FIGURES.names} for row in self._journal]
            self._parts_of: dict[str, list[Path]] = {}
            for path, table in zip(self._parts, tables, strict=True):
                for case in table.column("case").unique().to_pylist():
                    self._parts_of.setdefault(case, []).append(path)
            self.results: pd.DataFrame = pa.concat_tables(
                [*tables, pa.Table.from_pylist(journal, FIGURES)]
            ).to_pandas()
        except (OSError, KeyError, TypeError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0][:160]
            raise RunError(f"{self.folder.name} is damaged: {reason}") from None

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def asked(self) -> frozenset[str]:
        """Ids of the cases that have answers: not yet all of a run that goes on."""
        return frozenset(self.results.case)

    @property
    def lanes(self) -> list[str]:
        return [lane["name"] for lane in (*self.about["lanes"], *self.imported)]

    @property
    def imported(self) -> list[dict[str, str]]:
        """Name, title and source of the lanes that another program ran."""
        return list(self.about["imported"])

    @property
    def bad(self) -> list[BadRow]:
        return [BadRow(place, reason) for place, reason in self.about["bad"]]

    @cached_property
    def _parts(self) -> list[Path]:
        folders = (self.folder / name for name in ("results", "imported"))
        return [path for folder in folders for path in sorted(folder.glob("*.parquet"))]

    @cached_property
    def _journal(self) -> list[Row]:
        """Rows that are not packed yet: of a run that goes on, or was killed."""
        if not (path := self.folder / "journal.jsonl").exists():
            return []
        packed = set(column(self.folder / "results", "case"))
        whole = (line for line in path.read_text().splitlines(keepends=True) if line[-1:] == "\n")
        rows = (row for line in whole for row in json.loads(line))
        return [decode(row) for row in rows if row["case"] not in packed]

    def asked_with(self, case_id: str) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        """Model, lanes and options of a case: here those of the whole run."""
        return self.about["model"], self.about["lanes"], self.about["options"]

    def media(self, case: Case) -> Media:
        """Raises `ValueError` with one sentence."""
        root, extracted = ROOT / self.about["root"], self.folder / "pictures"
        return media_of(case, root, extracted, self.about["options"]["frames"], self.settings)

    def rows(self, case_id: str) -> list[Row]:
        """The rows of one case with all their details, in the order of the lanes."""
        found = [row for row in self._journal if row["case"] == case_id]
        for path in self._parts_of.get(case_id, ()):
            found += pq.read_table(path, filters=[("case", "=", case_id)]).to_pylist()
        order = {lane: place for place, lane in enumerate(self.lanes)}
        listed = (row for row in found if row["lane"] in order)  # not of an import that was killed
        return sorted(listed, key=lambda row: order[row["lane"]])

    def open(self, case_id: str) -> tuple[list[str], Comparison]:
        """The comparison of a case, and the names of its lanes.

        It equals the one that ran, without the methods' scores. Lanes that were imported without
        tokens are left out. Raises `ValueError` if no lane is left, or the picture is gone or
        was replaced.
        """
        case = self.cases[case_id]
        media = self.media(case)
        rows = [row for row in self.rows(case_id) if row.get("record")]
        lanes = tuple(lane_of(row, len(media.frames)) for row in rows)
        if not lanes:
            raise ValueError("The answers of this case were imported, without tokens.")
        sessions = self.about["sessions"]
        conditions = sessions[rows[0]["session"] or 0] if sessions else {}
        question = self.about["prompt"].format(case.question) if case.locate else case.question
        options = {k: v for k, v in self.about["options"].items() if k != "frames"}
        model = self.about["model"]
        compared = Comparison(model, question, media, lanes, conditions, case.truth, options)
        return [row["lane"] for row in rows], compared

    def comparison(self, case_id: str) -> Comparison:
        return self.open(case_id)[1]


def write_cases(folder: Path, cases: Iterable[Case]) -> None:
    text, texts = pa.string(), pa.list_(pa.string())
    types = {"answers": texts, "tags": texts, "box": pa.list_(pa.float64()), "locate": pa.bool_()}
    schema = pa.schema([(one.name, types.get(one.name, text)) for one in fields(Case)])
    table = pa.Table.from_pylist([asdict(case) for case in cases], schema)
    pq.write_table(table, folder / BEGUN, **PACKING)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
