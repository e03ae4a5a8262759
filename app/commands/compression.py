"""`compression`: the cost of compressing a clip for a 7B model, without the model."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands import arguments
from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("compression", help="what compressing a 7B clip costs")
    parser.add_argument("--frames", default="8,16,32,64,128", help="for FlashVID by stage")
    parser.add_argument("--clip", type=int, default=32, help="frames, for all the methods")
    parser.add_argument("--tokens", type=int, default=196, help="visual tokens a frame")
    parser.add_argument("--width", type=int, default=3584, help="of a token, 128 a head")
    parser.add_argument("--retention", type=float, default=0.1, help="share of visual tokens")
    parser.add_argument("--repeats", type=int, default=5)
    arguments.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import compression

    report = compression.compression(
        arguments.counts(options.frames),
        options.clip,
        options.tokens,
        options.width,
        options.retention,
        options.repeats,
    )
    arguments.print_report(report, compression.table(report), options.json)
