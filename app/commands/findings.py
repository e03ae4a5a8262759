"""`findings`: tests the papers' findings on the embedded models and writes docs/findings.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("findings", help="test the papers' findings on this machine")
    parser.add_argument(
        "--count", type=int, help="pictures and clips of each seed, for a trial; needs --out"
    )
    parser.add_argument("--jobs", type=int, help="processes of one thread; default: one per core")
    parser.add_argument(
        "--out", type=Path, help="folder of docs and results; default: the checkout"
    )
    parser.add_argument(
        "--inside",
        action="store_true",
        help="ask for findings 2 and 4 only, inside the models; keep the other results",
    )
    parser.add_argument("--model", help="ask this one only; keep the other's stored results")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure.findings import write

    asked = options.count, options.jobs, options.out, settings, options.inside, options.model
    tables, path = write.findings(*asked)
    print(f"{tables}\n\n{path}")
