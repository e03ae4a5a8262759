"""The commands that draw or write files of the checkout: one module with a `draw` each."""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module
from typing import Any

from app.settings import Settings

DRAWN = {  # command: the module that draws, and the help text
    "examples": ("app.docs.examples", "draw the example pictures and clips"),
    "stories": ("app.docs.stories", "choose what each example shows; record the first view"),
    "curves": ("app.docs.curves", "draw the training curves of the embedded models"),
    "docs": ("app.docs.pages", "write the generated pages and tables of the docs"),
    "gallery": ("app.docs.gallery", "draw every method on one upload"),
    "figure": ("app.docs.figure", "draw the README's picture of trees"),
}


def add(commands: Any) -> None:
    for name, (module, text) in DRAWN.items():
        commands.add_parser(name, help=text).set_defaults(run=partial(run, module))


def run(module: str, options: argparse.Namespace, settings: Settings) -> None:
    """Print every file as it is written."""
    for path in import_module(module).draw():
        print(path)
