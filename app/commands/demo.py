"""`demo`: checks that the model is here and fits in memory, then serves the page."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from models.catalog import ModelCard

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

    if settings.worker == "local":  # other workers have devices of their own
        check(card, settings)

    from app.page.build import serve  # imports Gradio

    serve(settings, host=options.host, port=options.port)


def check(card: ModelCard, settings: Settings) -> None:
    """Print what runs where. Raises `ValueError` if the model cannot be loaded there."""
    from models.loading import describe

    for device in settings.device.split(","):
        for line in describe(card, device.strip() or None, settings.dtype or None):
            print(line, flush=True)
