"""`models`: lists the models, with the command that fetches each one's weights."""

from __future__ import annotations

import argparse
from typing import Any

from app.settings import Settings


def add(commands: Any) -> None:
    commands.add_parser("models", help="list the models").set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.docs import listing

    print(listing.table())
