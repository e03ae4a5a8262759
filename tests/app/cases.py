"""Runs of cases with made-up answers, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

from app.cases.filters import Table
from app.cases.library import Owner
from app.cases.people import People
from app.cases.run import plan, run_cases
from app.cases.sets import read_set
from app.cases.store import Run
from app.settings import Settings
from tests.app.fake_worker import FakeWorker

SETTINGS = Settings()
HERE = Owner(Path("nowhere"), trusted=True)  # the person at this machine
ZIPPED, NUWA = "visionzip@0.222", "nuwa@0.222"
ANSWERS = {"vanilla": "yes", "visionzip": "no", "nuwa": "yes"}


def make_run(folder: Path, source: str = "drawn:image:20:35", failing: tuple[str, ...] = ()) -> Run:
    """A run of vanilla, VisionZip and Nüwa that answer yes, no, yes, with one box each."""
    case_set = read_set(source, SETTINGS, folder / "pictures")
    numbers = {"max_new_tokens": 8, "temperature": 0.0, "seed": 0}
    planned = plan("embedded-image", ("visionzip", "nuwa"), [0.222], SETTINGS, **numbers)
    worker = FakeWorker(ANSWERS.__getitem__, failing)
    run_cases(case_set, planned, folder, SETTINGS, worker)
    return Run(folder)


def table_of(run: Run) -> Table:
    return Table(run, People(run.folder).all())
