"""What people add to the cases of a run: verdicts, tags and notes, in SQLite.

Every change is a new row, so nothing is lost: two people who write at once both stay on record, and
the latest value of each field counts.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VERDICTS = {  # key on the keyboard: verdict
    "1": "method's fault",
    "2": "model's fault",
    "3": "label wrong",
    "4": "unclear",
}
MOST_TEXT = 10_000  # characters of a note
MOST_TAG = 60
WAIT_SECONDS = 10  # for another writer
_TABLE = """CREATE TABLE IF NOT EXISTS said (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, case_id TEXT NOT NULL,
    field TEXT NOT NULL, value TEXT NOT NULL)"""
_LATEST = """SELECT case_id, field, value FROM said
    WHERE number IN (SELECT max(number) FROM said GROUP BY case_id, field) ORDER BY number"""


@dataclass(frozen=True)
class Remark:
    """What people add to one case."""

    verdict: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


class People:
    """The remarks of one run. Raises `ValueError` with one sentence where they cannot be saved."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "people.sqlite"

    def all(self) -> dict[str, Remark]:
        """The remarks by the ids of their cases."""
        if not self.path.exists():
            return {}
        with self._open() as database:
            rows = database.execute(_LATEST).fetchall()
        latest: dict[str, dict[str, str]] = {}
        for case, field, value in rows:
            latest.setdefault(case, {})[field] = value
        return {case: _remark(fields) for case, fields in latest.items()}

    def of(self, case: str) -> Remark:
        return self.all().get(case, Remark())

    def judge(self, case: str, verdict: str) -> None:
        """Give a verdict; "" takes it back."""
        if verdict not in ("", *VERDICTS.values()):
            wanted = ", ".join(VERDICTS.values())
            raise ValueError(f"The verdict is {verdict[:40]!r}, wanted {wanted}.")
        self._save(case, "verdict", verdict)

    def tag(self, case: str, tag: str, on: bool = True) -> None:
        tag = tag.strip()
        if not tag or len(tag) > MOST_TAG or "," in tag:
            raise ValueError(f"A tag has 1 to {MOST_TAG} characters and no comma.")
        self._save(case, f"tag {tag}", "on" if on else "")

    def note(self, case: str, text: str) -> None:
        if len(text) > MOST_TEXT:
            raise ValueError(f"The note has {len(text):,} characters; the limit is {MOST_TEXT:,}.")
        self._save(case, "note", text)

    def _save(self, case: str, field: str, value: str) -> None:
        with self._open() as database:
            database.execute(
                "INSERT INTO said (at, case_id, field, value) VALUES (?, ?, ?, ?)",
                (time.time(), case, field, value),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when it ends."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=WAIT_SECONDS)
            try:
                with database:
                    database.execute(_TABLE)
                    yield database
            finally:
                database.close()
        except (OSError, sqlite3.Error) as error:
            raise ValueError(
                f"The remarks in {self.path.parent.name} cannot be saved or read: {error}. "
                "Free disk space or check the folder; what was saved before is kept."
            ) from None


def _remark(fields: dict[str, str]) -> Remark:
    tags = tuple(sorted(field[4:] for field, on in fields.items() if field[:4] == "tag " and on))
    return Remark(fields.get("verdict", ""), tags, fields.get("note", ""))
