"""`bench`: accuracy over drawn scenes or clips, methods by ratios."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands import arguments
from app.request import add_arguments, split_names
from app.settings import Settings

SPLITS = (
    "plain (default), sizes, crowd, clutter, alike, or hard: all four; or skills: one question of "
    "each skill a scene"
)


def add(commands: Any) -> None:
    parser = commands.add_parser("bench", help="accuracy over drawn scenes or clips")
    parser.add_argument("--model", default=Settings.model)
    parser.add_argument("--scenes", "--clips", type=int, default=100, dest="count")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes or clips")
    parser.add_argument("--split", default="plain", help=SPLITS)
    parser.add_argument(
        "--methods", help=f"{arguments.METHODS}; or all; default: some for the model's media"
    )
    parser.add_argument("--retention", help="comma-separated; default: 33, 22 and 11 %% for scenes")
    add_arguments(parser, ["positions"])
    parser.add_argument("--jobs", type=int, help="processes of one thread; default: one per core")
    parser.add_argument(
        "--go-on", action="store_true", help="store answers; ask only what an earlier run did not"
    )
    arguments.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import bench, skills

    arguments.warn_if_random(options.model)
    unit = bench.drawn_as(options.model)
    methods = options.methods or bench.METHODS[unit]
    every = methods == bench.EVERY
    asked = (
        options.model,
        options.count,
        options.seed,
        list(bench.every_method(options.model)) if every else split_names(methods),
        arguments.ratios(options.retention or bench.RATIOS[unit]),
        options.positions,
        settings,
        options.jobs,
    )
    if options.split == skills.SPLIT:
        report = skills.by_skill(*asked, go_on=options.go_on)
        arguments.print_report(report, skills.table(report), options.json)
    else:
        report = bench.bench(*asked, options.split, options.go_on)
        arguments.print_report(report, bench.table(report), options.json)
