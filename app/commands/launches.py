"""`launches`: counts kernel launches and host waits of a lane by phase."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands import arguments
from app.request import split_names
from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("launches", help="kernels and waits of a lane, by phase")
    parser.add_argument("--model", default=Settings.model)
    parser.add_argument(
        "--methods", help=f"{arguments.METHODS}; or all; default: some for the model's media"
    )
    parser.add_argument("--retention", type=float, default=1 / 3, help="share of visual tokens")
    parser.add_argument("--frames", type=int, help="of a drawn clip; 0: a picture")
    parser.add_argument("--new-tokens", type=int, default=3)
    parser.add_argument("--places", action="store_true", help="also the lines where the host waits")
    arguments.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.jobs import lanes_at
    from app.measure import bench
    from app.measure.gpu import launches
    from app.measure.timing import METHODS
    from app.measure.uploads import random_upload
    from models.catalog import find
    from models.loading import load

    card = find(options.model)
    frames = arguments.frames_of(card, options.frames)
    methods = options.methods or METHODS["video" if frames else "image"]
    every = methods == bench.EVERY
    names = list(bench.every_method(options.model)) if every else split_names(methods)
    report = launches.count(
        load(options.model, settings.device or None, settings.dtype or None),
        random_upload(frames, (384, 384)),
        list(lanes_at(names, [options.retention], card.family)),
        options.new_tokens,
    )
    report |= {"model": options.model, "retention_ratio": options.retention}
    arguments.print_report(report, launches.table(report, options.places), options.json)
