"""The runs that a page offers: those that ship, those of the settings' folder, a visitor's own."""

from __future__ import annotations

import threading
from pathlib import Path

from app.cases.filters import Table
from app.cases.kept import Kept, is_kept, keep
from app.cases.people import People
from app.cases.store import Run
from app.settings import ROOT, Settings
from models.engine.record import Comparison

SHIPPED = ROOT / "assets" / "cases"
MOST_OPEN = 8
CHANGING = (".", "run.json", "results", "imported")  # of a run's folder, when results come


class Library:
    """Opens runs by name and keeps the last ones open.

    `own` is the folder of one visitor. Remarks and kept comparisons last in the settings' folder;
    without such a folder they are written below `own`, and are deleted with it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.cases).resolve() if settings.cases else None
        self._open: dict[Path, tuple[float, Run]] = {}  # the last used last, with its files' time
        self._lock = threading.Lock()

    def names(self, own: Path | None = None) -> list[str]:
        """Of all runs, the shipped ones first."""
        return list(self._folders(own))

    def run(self, name: str, own: Path | None = None) -> Run:
        """Raises `ValueError` for a name that is not offered, or a damaged run."""
        folders = self._folders(own)
        if name not in folders:
            names = ", ".join(folders) or "none"
            raise ValueError(f"There is no run {name[:60]!r} here; there is {names}.")
        folder, whole = folders[name], (folders[name] / "run.json").exists()
        # Remarks change a run's folder, so it does not count; recordings come into theirs.
        parts = [folder / part for part in (CHANGING[1:] if whole else CHANGING[:1])]
        changed = max(part.stat().st_mtime for part in parts if part.exists())
        known = self._open.get(folder)
        if known is None or known[0] < changed:  # outside the lock: a large folder takes minutes
            kind = Run if whole else Kept
            known = changed, kind(folder, self.settings)
        with self._lock:
            self._open.pop(folder, None)
            self._open[folder] = known
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
            return known[1]

    def keep(self, comparison: Comparison, name: str, own: Path) -> str:
        """Add a comparison to a visitor's own set; the id of its case."""
        return keep(comparison, (self.folder or own) / name)

    def people(self, name: str, own: Path) -> People:
        """The remarks on a run that is offered."""
        self.run(name, own)
        folder = (self.folder or own) / name
        folder.mkdir(parents=True, exist_ok=True)
        return People(folder)

    def table(self, name: str, own: Path) -> Table:
        return Table(self.run(name, own), self.people(name, own).all())

    def _folders(self, own: Path | None) -> dict[str, Path]:
        """The folder of each run; of the same name, the settings' folder counts."""
        places = [SHIPPED, own if self.folder is None else self.folder]
        found: dict[str, Path] = {}
        for path in (path for place in places if place for path in sorted(place.glob("*"))):
            if (path / "run.json").exists() or is_kept(path):
                found[path.name] = path
        return found
