"""`demo`: serves the page, after its model is here and is known to fit."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from app.settings import Settings

MODEL = "name of the list, a folder, or org/name of a known family; default: TOKENSCOPE_MODEL"


def add(commands: Any) -> None:
    parser = commands.add_parser("demo", help="serve the page")
    parser.add_argument("--model", dest="served", help=MODEL)
    parser.add_argument(
        "--yes", action="store_true", help="fetch missing weights, without a question"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7860)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.commands.fetch import ensure

    card = ensure(options.served or settings.model, options.yes)
    settings = replace(settings, model=card.name)

    from app.page.build import serve  # imports Gradio

    serve(settings, host=options.host, port=options.port)
