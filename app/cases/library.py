"""The runs that a page offers: those that ship, those of the settings' folder, a visitor's own."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from app.cases.filters import Table
from app.cases.kept import KEPT, Kept, is_kept, keep
from app.cases.people import People
from app.cases.store import Run
from app.settings import ROOT, Settings
from models.engine.record import Comparison

SHIPPED = ROOT / "assets" / "cases"
MOST_OPEN = 8
MOST_TABLES = 4  # of 20,000 cases, one takes some 30 MB
MOST_LATE = 10.0  # seconds until a case of a run in progress is seen: opening 10,000 takes one
CHANGING = (".", "run.json", "results", "imported")  # of a run's folder, when results come


@dataclass(frozen=True)
class Owner:
    """Whose remarks and kept comparisons are read and written."""

    folder: Path  # of one browser; it expires with other uploads
    login: str = ""  # as part of a folder's name; "" for none
    trusted: bool = False  # has a login, or sits at this machine

    @property
    def kept(self) -> str:
        """Name of the owner's set of kept comparisons."""
        return f"{KEPT}-{self.login}" if self.login else KEPT


@dataclass(frozen=True)
class Opened:
    """A run that stays open."""

    changed: float  # time of its files
    opened: float  # seconds of the monotonic clock
    run: Run


class Library:
    """Opens runs by name and keeps the last ones open.

    All visitors read the runs of the settings' folder. There, trusted owners share their remarks
    and see the sets that each of them keeps. A stranger's remarks and set are written below the
    stranger's own folder, are shown to no one else, and are deleted with it; so are those of all
    owners where the settings name no folder.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.cases).resolve() if settings.cases else None
        self._open: dict[Path, Opened] = {}  # the last used last
        self._tables: deque[Table] = deque(maxlen=MOST_TABLES)
        self._lock = threading.Lock()

    def lasts(self, owner: Owner) -> bool:
        """Whether the remarks and the set of an owner do not expire."""
        return self.folder is not None and owner.trusted

    def names(self, owner: Owner) -> list[str]:
        """Of all runs that an owner may see, the shipped ones first."""
        return list(self._folders(owner))

    def run(self, name: str, owner: Owner) -> Run:
        """Raises `ValueError` for a name that is not offered, or a damaged run."""
        folders = self._folders(owner)
        if name not in folders:
            names = ", ".join(folders) or "none"
            raise ValueError(f"There is no run {name[:60]!r} here; there is {names}.")
        folder, whole = folders[name], (folders[name] / "run.json").exists()
        # Remarks change a run's folder, so it does not count; recordings come into theirs.
        parts = [folder / part for part in (CHANGING[1:] if whole else CHANGING[:1])]
        changed = max(part.stat().st_mtime for part in parts if part.exists())
        answered = _changed(folder / "journal.jsonl")  # of a run in progress, with every case
        known = self._open.get(folder)
        if known and known.changed < answered and time.monotonic() - known.opened > MOST_LATE:
            known = None
        if known is None or known.changed < changed:  # outside the lock: it may take minutes
            now, kind = time.monotonic(), Run if whole else Kept
            known = Opened(max(changed, answered), now, kind(folder, self.settings))
        with self._lock:
            self._open.pop(folder, None)
            self._open[folder] = known
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
            return known.run

    def keep(self, comparison: Comparison, owner: Owner) -> str:
        """Add a comparison to an owner's set; the id of its case."""
        return keep(comparison, self._home(owner) / owner.kept)

    def people(self, name: str, owner: Owner) -> People:
        """The remarks on a run that is offered."""
        self.run(name, owner)
        return People(self._home(owner) / name)

    def table(self, name: str, owner: Owner) -> Table:
        """The cases of a run with an owner's remarks. Equal remarks on one run share a table."""
        run, remarks = self.run(name, owner), self.people(name, owner).all()
        with self._lock:
            for table in self._tables:
                if table.run is run and table.remarks == remarks:
                    return table
        table = Table(run, remarks)  # outside the lock: a large run takes a second
        with self._lock:
            self._tables.append(table)
        return table

    def _home(self, owner: Owner) -> Path:
        """The folder that an owner's remarks and set are written to."""
        return self.folder if self.folder and owner.trusted else owner.folder

    def _folders(self, owner: Owner) -> dict[str, Path]:
        """The folder of each run; of the same name, the owner's home counts."""
        shared = [SHIPPED, self.folder] if self.folder else [SHIPPED]
        found: dict[str, Path] = {}
        for place in dict.fromkeys([*shared, self._home(owner)]):
            for path in sorted(place.glob("*")):
                whole = (path / "run.json").exists()
                hidden = place == self.folder and not owner.trusted and _is_set(path.name)
                if whole or (is_kept(path) and not hidden):
                    found[path.name] = path
        return found


def _changed(file: Path) -> float:
    """Time of the last change of a file, 0 where there is none."""
    return file.stat().st_mtime if file.exists() else 0.0


def _is_set(name: str) -> bool:
    """Whether comparisons that a person kept are in a folder of that name."""
    return name == KEPT or name.startswith(f"{KEPT}-")
