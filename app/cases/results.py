"""The rows of a run on disk: Parquet files of complete parts, and a journal of later rows."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.cases.lanes import SCHEMA, Row
from app.resume import Lines

PART = 200  # cases in one file of results
PACKING = {"compression": "zstd", "compression_level": 9}


class Results:
    """Rows of lanes by case, written as they come: kill -9 loses only an incomplete row."""

    def __init__(self, folder: Path) -> None:
        """Reads which cases are asked; a journal that a packed part repeats is cleared."""
        self.folder = folder / "results"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.asked = set(column(self.folder, "case"))
        self._journal = Lines(folder / "journal.jsonl")
        self._rows = [decode(row) for row in journal_rows(self._journal, self.asked)]
        self._packed, self.asked = self.asked, self.asked | {row["case"] for row in self._rows}

    def __contains__(self, case: object) -> bool:
        return case in self.asked

    def __setitem__(self, case: str, rows: Sequence[Row]) -> None:
        """Raises `ValueError` where the disk refuses; what was stored before is kept."""
        try:
            self._journal.add([encode(row) for row in rows])
        except OSError as error:
            raise ValueError(
                f"The results cannot be written: {error.strerror}. Free disk space, and give the "
                "same command again: what was stored is kept."
            ) from None
        self._rows += rows
        self.asked.add(case)
        if len(self.asked) - len(self._packed) >= PART:
            self.pack()

    def pack(self) -> None:
        """Move the journal into a Parquet file."""
        if not self._rows:
            return
        number = 1 + max((int(path.stem) for path in self.folder.glob("*.parquet")), default=-1)
        write_rows(self.folder / f"{number:05d}.parquet", self._rows)
        self._journal.clear()
        self._rows, self._packed = [], set(self.asked)


def journal_rows(journal: Lines, packed: set[str]) -> Iterator[Row]:
    for rows in journal.values:
        yield from (row for row in rows if row["case"] not in packed)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a file of results whole or not at all."""
    table = pa.Table.from_pylist(list(rows), SCHEMA)
    fresh = path.with_suffix(".new")
    pq.write_table(table, fresh, row_group_size=PART, **PACKING)
    os.replace(fresh, path)


def column(folder: Path, name: str) -> Iterator[str]:
    for path in sorted(folder.glob("*.parquet")):
        yield from pq.read_table(path, columns=[name]).column(name).unique().to_pylist()


def encode(row: Row) -> Row:
    """The row as JSON."""
    arrays = row.get("arrays") or []
    coded = [one | {"data": base64.b64encode(one["data"]).decode()} for one in arrays]
    return row | {"arrays": coded}


def decode(row: Row) -> Row:
    arrays = [one | {"data": base64.b64decode(one["data"])} for one in row["arrays"]]
    return row | {"arrays": arrays}
