"""`findings`: tests the papers' findings on the embedded models and writes docs/findings.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("findings", help="test the papers' findings on this machine")
    parser.add_argument("--pictures", type=int, help="per seed")
    parser.add_argument("--clips", type=int, help="per seed")
    parser.add_argument("--jobs", type=int, help="processes of one thread; default: one per core")
    parser.add_argument(
        "--out", type=Path, help="folder of docs and results; default: the checkout"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure.findings import write

    print(write.findings(options.pictures, options.clips, options.jobs, options.out, settings))
