"""What commands share: lists in arguments, and how a report is printed and written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.request import INPUTS, Request
from app.settings import Settings

if TYPE_CHECKING:
    from app.worker.protocol import Job, Worker
    from models.catalog import ModelCard

METHODS = "such as nuwa,nuwa:paper or composed parts: visionzip.before+fastv.inner+rpme"


def add_json(parser: Any) -> None:
    parser.add_argument("--json", type=Path, help="also write the report to this file")


def ratios(text: str) -> list[float]:
    """ "0.333,0.111" as a list."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"Retention is {text!r}, wanted numbers such as 0.333,0.111.") from None


def counts(text: str) -> list[int]:
    """ "8,16,32" as a list."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"Frames are {text!r}, wanted whole numbers such as 8,16,32.") from None


def size(text: str) -> tuple[int, int]:
    """ "336x448" as (height, width)."""
    height, _, width = text.partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise ValueError(f"Size is {text!r}, wanted height x width such as 336x336.") from None


def frames_of(card: ModelCard, frames: int | None) -> int:
    """Frames of a drawn clip, 0 for a picture; by default what the model is first asked about."""
    from app.jobs import first_kind

    if frames is not None:
        return frames
    return card.frames if first_kind(card) == "video" else 0


def worker_and_job(
    options: argparse.Namespace, settings: Settings, ratios: Sequence[float] | None = None
) -> tuple[Worker, Job]:
    """A worker on this machine, and the job that the arguments ask of it."""
    from app.jobs import read_job
    from app.worker.start import local_worker

    if options.model:  # offered to the user who names it, with or without weights
        settings = replace(settings, model=options.model)
    sent = {name: value for name, value in vars(options).items() if name in INPUTS}
    job = read_job(Request(**sent), settings, ratios=ratios)  # first: it may be refused
    return local_worker(settings), job


def print_report(report: dict, table: str, path: Path | None = None) -> None:
    """Print the table, then the report as one JSON line; write the report to `path` as well."""
    print(table)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def warn_if_random(model: str) -> None:
    """Print that a model has random weights, before its answers."""
    from models.catalog import find

    if (card := find(model)).random:
        print(card.note_on(""))
