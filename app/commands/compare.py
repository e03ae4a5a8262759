"""`compare`: one question about one picture or clip, on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import arguments
from app.request import INPUTS, add_arguments
from app.settings import Settings

if TYPE_CHECKING:
    from app.worker.protocol import Job, Worker
    from models.engine.record import Comparison

MOST_REPEATS = 99


def add(commands: Any) -> None:
    parser = commands.add_parser("compare", help="ask one question about one picture or clip")
    parser.add_argument("upload", metavar="file", help=INPUTS["upload"].help)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("question", nargs="?", help=INPUTS["question"].help)
    asked.add_argument("--locate", metavar="WHAT", default="", help=INPUTS["locate"].help)
    add_arguments(parser)
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="Runs of each lane, in turns; from 5 on, a speed-up comes with its spread",
    )
    parser.add_argument("--out", type=Path, help="Folder for the record and its pictures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from models.catalog import find

    worker, job = arguments.worker_and_job(options, settings)
    if options.locate:
        print(job.question)
    if note := find(job.model).note_on(job.question, job.drawn):
        print(note)
    _report(_run(worker, job, options.repeats), options.out)


def _run(worker: Worker, job: Job, repeats: int) -> Comparison:
    from app.repeats import repeated, with_repeats

    if not 1 <= repeats <= MOST_REPEATS:
        raise ValueError(f"Repeats: {repeats} came, wanted 1 to {MOST_REPEATS}.")
    *_, first = worker.run(job)
    if repeats == 1:
        return first.comparison
    *_, last = worker.run(repeated(job, first.comparison, repeats))
    return with_repeats(first.comparison, last.comparison)


def _report(comparison: Comparison, folder: Path | None) -> None:
    """Print the table and save the record. Raises `ValueError` with the reasons of failed lanes."""
    from app.recording import drawings, storage
    from app.render import summary
    from models.engine.record import LaneFailure

    print(summary.table(comparison))
    print(summary.conditions_line(comparison))
    print(summary.media_line(comparison.media))
    if folder:
        storage.save(comparison, folder)
        drawings.draw(comparison, folder)
        print(f"saved to {folder}")
    failed: dict[str, list[str]] = {}  # lanes by reason
    for lane in comparison.lanes:
        if isinstance(lane, LaneFailure):
            failed.setdefault(lane.reason, []).append(lane.title)
    if failed:
        raise ValueError(
            " ".join(f"{' and '.join(lanes)}: {reason}" for reason, lanes in failed.items())
        )
