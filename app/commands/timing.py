"""`timing`: the phases of a lane, methods by ratios, measured or counted."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands import arguments
from app.request import split_names
from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("timing", help="a lane phase by phase: methods by ratios")
    parser.add_argument("--model", default=Settings.model)
    parser.add_argument("--methods", help=f"{arguments.METHODS}; default: for the model's media")
    parser.add_argument(
        "--retention", help="comma-separated; default: 33, 22 and 11 %% for pictures"
    )
    parser.add_argument("--frames", type=int, help="of a drawn clip; 0: a picture")
    parser.add_argument("--size", default="384x384", help="of the drawn upload, height x width")
    parser.add_argument("--repeats", type=int, default=20, help="measured runs, after a warm-up")
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--count", action="store_true", help="FLOPs and bytes only; nothing runs")
    arguments.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import timing
    from models.catalog import find

    frames = arguments.frames_of(find(options.model), options.frames)
    kind = "video" if frames else "image"
    report = timing.timing(
        options.model,
        split_names(options.methods or timing.METHODS[kind]),
        arguments.ratios(options.retention or timing.RATIOS[kind]),
        frames,
        arguments.size(options.size),
        options.repeats,
        options.new_tokens,
        settings,
        options.count,
    )
    arguments.print_report(report, timing.table(report), options.json)
