"""`compare`: one question about one picture or clip, on the command line."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import arguments
from app.settings import Settings

if TYPE_CHECKING:
    from models.engine.record import Comparison


def add(commands: Any) -> None:
    parser = commands.add_parser("compare", help="ask one question about one picture or clip")
    parser.add_argument("file")  # text: a Path would hide that it is a URL
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("question", nargs="?")
    asked.add_argument("--locate", metavar="WHAT", help="a box is asked for, as the model knows it")
    parser.add_argument("--model", default="", help="default: what takes such a file")
    parser.add_argument("--methods", help=f"{arguments.METHODS}; default: what suits such a file")
    parser.add_argument("--retention", type=float, default=1 / 9, help="share of visual tokens")
    parser.add_argument("--frames", type=int, help="to sample of a clip; default: the model's own")
    parser.add_argument("--positions", default="published", help=arguments.POSITIONS)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the record and its pictures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.request import read_job
    from app.worker.start import local_worker
    from models.catalog import find

    if options.model:  # offered to the user who names it, with or without weights
        settings = replace(settings, model=options.model)
    job = read_job(
        options.file,
        options.question or "",
        options.model,
        arguments.names(options.methods) if options.methods is not None else None,
        options.retention,
        positions=options.positions,
        num_frames=options.frames,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        seed=options.seed,
        locate=options.locate,
        settings=settings,
    )
    if options.locate:
        print(job.question)
    if note := find(job.model).note_on(job.question):
        print(note)
    *_, last = local_worker(settings).run(job)
    _report(last.comparison, options.out)


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
