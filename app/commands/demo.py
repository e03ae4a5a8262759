"""`demo`: serves the page."""

from __future__ import annotations

import argparse
from typing import Any

from app.settings import Settings


def add(commands: Any) -> None:
    parser = commands.add_parser("demo", help="serve the page")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7860)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.page.build import serve

    serve(settings, host=options.host, port=options.port)
