"""`speed`: times of the page, compared with `generate` and with lanes that run alone."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands import arguments
from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("speed", help="the page's times, beside `generate` and alone")
    parser.add_argument("--model", default=Settings.model)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--analysis", action="store_true", help="vanilla with analysis off and on, and nothing else"
    )
    arguments.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import analysis_time, speed

    arguments.warn_if_random(options.model)
    if options.analysis:
        report = analysis_time.analysis_time(options.model, options.repeats, settings)
        arguments.print_report(report, analysis_time.table(report), options.json)
        return
    report = speed.speed(options.model, options.repeats, settings)
    arguments.print_report(report, speed.table(report), options.json)
