"""`verify`: compares a model with stock transformers on this machine and writes a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.commands import arguments
from app.request import split_names
from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("verify", help="compare a model with stock transformers, here")
    parser.add_argument("model", help="name of the list, a folder, or org/name")
    parser.add_argument("--frames", type=int, default=8, help="sampled from the clip")
    parser.add_argument(
        "--methods", type=split_names, default=(), help="such as vanilla,flashvid; default: all"
    )
    parser.add_argument("--json", type=Path, help="file of the report; default: out/verify/…")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import verify
    from models.loading import describe
    from models.unlisted import adopt

    card = adopt(options.model)
    for line in describe(card, settings.device or None, settings.dtype or None):
        print(line, flush=True)
    report = verify.verify(card, options.frames, settings, options.methods)
    path = options.json or Path("out/verify") / f"{card.name.replace('/', '--')}.json"
    arguments.print_report(report, verify.table(report), path)
    print(f"The report is in {path}. Send it to the project: it holds no path and no question.")
    if not report["ok"]:
        raise ValueError(f"{card.title} does not answer as stock transformers does; see the table.")
