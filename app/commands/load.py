"""`load`: a load test of the page with many visitors: answers, waits and memory."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands import arguments
from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("load", help="many visitors at once, on this machine")
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import crowd

    report = crowd.load(options.visitors, options.seconds, settings)
    arguments.print_report(report, crowd.table(report))
    if found := crowd.complaints(report):
        raise ValueError(" ".join(found))
