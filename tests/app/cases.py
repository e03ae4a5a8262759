"""Runs of cases with made-up answers, for tests of what reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from app.cases.filters import Table
from app.cases.library import Owner
from app.cases.people import People
from app.cases.run import plan, run_cases
from app.cases.sets import read_set
from app.cases.store import Run
from app.settings import EXAMPLES, Settings
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


def make_folder(folder: Path, asked: int = 25) -> Path:
    """A set of 31 files that mixes good and bad rows.

    It has 28 pictures of which `asked` and one with a box are asked about, 13 bad rows, a file that
    is no picture, and `cut.png`, which begins like a picture and ends too soon.
    """
    folder.mkdir()
    for tone in range(28):
        picture(folder / f"{tone}.png", tone)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "cut.png").write_bytes((EXAMPLES / "scene-1.png").read_bytes()[:3000])
    good = [{"file": f"{tone}.png", "question": "What?", "answer": "a"} for tone in range(asked)]
    bad = [
        {"file": "broken.png", "question": "What?"},
        {"file": "nowhere.png", "question": "What?"},
        {"file": "../secret.png", "question": "Where?"},
        {"file": "/etc/passwd", "question": "What?"},
        {"file": "25.png", "question": " "},
        {"file": "25.png", "question": "Where?", "box": [0.1, float("nan"), 0.2, 0.3]},
        {"file": "25.png", "question": "Where?", "box": [30, 5, 10, 15]},
        {"file": "25.png", "question": "Where?", "bbox": [30, 5, 20, 15]},
        {"file": "25.png", "question": "Where?", "metric": "bleu"},
        {"picture_of": "25.png", "ask": "Where?"},
        {"file": "0.png", "question": "What?"},
        "[1, 2]",
        "{not JSON",
    ]
    cut = {"file": "cut.png", "question": "What?", "answer": "a"}
    boxed = {"file": "26.png", "question": "Where?", "bbox": [10, 5, 20, 10], "tags": "a, b"}
    write_lines(folder / "cases.jsonl", [*good, *bad, cut, boxed])
    return folder


def picture(path: Path, tone: int = 0, size: tuple[int, int] = (40, 20)) -> Path:
    Image.new("RGB", size, (tone, 90, 200)).save(path)
    return path


def write_lines(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))


def table_of(run: Run) -> Table:
    return Table(run, People(run.folder).all())
