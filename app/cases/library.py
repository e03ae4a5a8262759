"""The runs that a page offers: those that ship, and those in the folder of the settings."""

from __future__ import annotations

import threading
from pathlib import Path

from app.cases.filters import Table
from app.cases.people import People
from app.cases.store import Run
from app.settings import ROOT, Settings

SHIPPED = ROOT / "assets" / "cases"
KEPT = 4  # open runs


class Library:
    """Opens runs by name and keeps the last ones open.

    Remarks on a run of the settings' folder last. Without such a folder they are written below
    `own`, the folder of one visitor, and are deleted with it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.cases).resolve() if settings.cases else None
        self._open: dict[str, tuple[float, Run]] = {}  # by name, with the time of the run's files
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Of all runs, the shipped ones first."""
        places = [SHIPPED, *([self.folder] if self.folder else [])]
        found = (path.parent.name for place in places for path in sorted(place.glob("*/run.json")))
        return list(dict.fromkeys(found))

    def run(self, name: str) -> Run:
        """Raises `ValueError` for a name that is not offered, or a damaged run."""
        names = self.names()
        if name not in names:
            raise ValueError(
                f"There is no run {name[:60]!r} here; there is {', '.join(names) or 'none'}."
            )
        own = self.folder / name if self.folder else None
        folder = own if own and (own / "run.json").exists() else SHIPPED / name
        changed = max(path.stat().st_mtime for path in (folder, folder / "run.json"))
        results = folder / "results"
        changed = max(changed, results.stat().st_mtime if results.exists() else 0)
        with self._lock:
            if name not in self._open or self._open[name][0] < changed:
                self._open.pop(name, None)
                self._open[name] = changed, Run(folder, self.settings)
                while len(self._open) > KEPT:
                    del self._open[next(iter(self._open))]
            return self._open[name][1]

    def people(self, name: str, own: Path) -> People:
        """The remarks on a run that is offered."""
        self.run(name)
        folder = (self.folder or own) / name
        folder.mkdir(parents=True, exist_ok=True)
        return People(folder)

    def table(self, name: str, own: Path) -> Table:
        return Table(self.run(name), self.people(name, own).all())
