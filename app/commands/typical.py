"""`typical`: how often the page's default methods are right together on unseen uploads."""

from __future__ import annotations

import argparse
import json
from typing import Any

from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "typical", help="how often the default methods are right together on unseen uploads"
    )
    parser.add_argument("--kind", choices=["image", "video"], default="image")
    parser.add_argument("--count", type=int, help="scenes or clips; default: 150 or 60")
    parser.add_argument("--jobs", type=int, help="processes of one thread; default: one per core")
    parser.add_argument(
        "--stored", action="store_true", help="print the stored report; ask nothing"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    """Writes the report, from which `stories` chooses, and prints it."""
    from app.measure import typical

    if not options.stored:
        count = options.count or {"image": 150, "video": 60}[options.kind]
        report = typical.typical(options.kind, count, settings, options.jobs)
        path = typical.result_of(options.kind)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(typical.table(typical.read(options.kind)))
