"""Reads tables of cases row by row: CSV, TSV, JSON lines, JSON lists and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from app.cases.record import BadRow, Case, UnwrittenError

ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet", ".json")
MOST_CELL = 100_000_000  # characters: a picture in base64

Row = tuple[str, dict[str, Any] | BadRow]  # its place, and its cells by column
Made = TypeVar("Made")


def sort_rows(
    rows: Iterable[Row], make: Callable[[dict[str, Any], str, int], tuple[Case, Made]]
) -> tuple[dict[str, tuple[Case, Made]], list[BadRow]]:
    """The case that `make` gives for each row, by id, and the refused rows.

    Args:
        make: Called with cells, place and number. Its error is the row's reason: a row may come
            from a stranger. A second row of one case is refused too.

    Raises `UnwrittenError` of `make`: a full disk would make a smaller set, and its run would be
    of other cases than the set has.
    """
    found: dict[str, tuple[Case, Made]] = {}
    places: dict[str, str] = {}
    bad = []
    for number, (place, row) in enumerate(rows):
        try:
            if isinstance(row, BadRow):
                raise ValueError(row.reason)
            case, made = make(row, place, number)
            if case.id in found:
                raise ValueError(f"It asks what {places[case.id]} asks of the same picture.")
        except UnwrittenError:
            raise
        except (ValueError, OSError) as error:
            bad.append(BadRow(place, str(error)))
        except (LookupError, TypeError, ArithmeticError) as error:
            bad.append(BadRow(place, f"A value of the row is missing or odd: {error}."))
        else:
            found[case.id], places[case.id] = (case, made), place
    return found, bad


def read_rows(path: Path, most: int) -> Iterator[Row]:
    """Every row of a file, empty cells left out; a row that cannot be read gives its reason.

    Raises `ValueError` with one sentence for a file that is no table, or has over `most` rows.
    """
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _lines, ".json": _list, ".parquet": _parquet}
    if path.suffix not in readers:
        raise ValueError(f"{path.name} is no table; wanted one of {', '.join(ENDINGS)}.")
    read = readers[path.suffix]
    try:
        # Counted first, so that a table that is too long is refused before its pictures are read.
        if path.suffix != ".parquet" and any(islice(read(path, most), most, None)):
            raise ValueError(too_many(path, f"more than {most:,}", most))
        for place, cells in read(path, most):
            if isinstance(cells, dict):
                cells = {str(k): v for k, v in cells.items() if v is not None and v != ""}
            yield place, cells
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8 text; save it again as UTF-8.") from None
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path.name} is no readable Parquet file: {reason}") from None


def too_many(path: Path, count: str, most: int) -> str:
    return (
        f"{path.name} has {count} rows; the limit is {most:,}: "
        "cut it, or raise TOKENSCOPE_MAX_CASES."
    )


def _csv(path: Path, most: int) -> Iterator[Row]:
    csv.field_size_limit(MOST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        columns = len(reader.fieldnames or ())
        number = 1
        while True:
            number += 1
            place = f"{path.name}, row {number}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield place, BadRow(place, f"The row is no CSV: {error}.")
                continue
            if None in cells:
                more = columns + len(cells[None])  # type: ignore[index]
                yield place, BadRow(place, f"The row has {more} cells, wanted {columns}.")
            else:
                yield place, cells


def _lines(path: Path, most: int) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                place = f"{path.name}, line {number}"
                yield place, _parse(place, line)


def _parse(place: str, line: str) -> dict[str, Any] | BadRow:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadRow(place, f"The line is no JSON: {error}.")
    if not isinstance(cells, dict):
        return BadRow(place, f"The line is a {type(cells).__name__}, wanted an object.")
    return cells


def _list(path: Path, most: int) -> Iterator[Row]:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise ValueError(f"{path.name} is neither a list of cases nor COCO's images and boxes.")
    for number, cells in enumerate(rows, start=1):
        place = f"{path.name}, entry {number}"
        kind = type(cells).__name__
        fits = isinstance(cells, dict)
        yield place, cells if fits else BadRow(place, f"The entry is a {kind}, wanted an object.")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON: {error}.") from None


def _parquet(path: Path, most: int) -> Iterator[Row]:
    file = pq.ParquetFile(path)
    if file.metadata.num_rows > most:
        raise ValueError(too_many(path, f"{file.metadata.num_rows:,}", most))
    number = 0
    for batch in file.iter_batches(batch_size=64):
        for cells in batch.to_pylist():
            number += 1
            yield f"{path.name}, row {number}", cells
