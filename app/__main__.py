"""TokenScope on the command line: `python -m app COMMAND`; `--help` after a command explains it."""

from __future__ import annotations

import argparse
import contextlib
import sys

import models.openmp
from app.commands import (
    analyse,
    bench,
    cases,
    compare,
    compression,
    demo,
    draw,
    fetch,
    findings,
    launches,
    load,
    models,
    space,
    speed,
    sweep,
    timing,
    typical,
    verify,
)
from app.settings import Settings

COMMANDS = (
    analyse,
    demo,
    fetch,
    verify,
    compare,
    sweep,
    models,
    bench,
    cases,
    timing,
    speed,
    compression,
    findings,
    launches,
    load,
    space,
    typical,
    draw,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. A bad request prints one sentence to stderr and returns 2."""
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
        _adopt(getattr(options, "model", None), settings)
        options.run(options, settings)
    except (ValueError, OSError) as error:
        print(f"tokenscope: {error}", file=sys.stderr)
        return 2
    return 0


def _adopt(model: str | None, settings: Settings) -> None:
    """Make the cards of models that are not in the list: a folder, or a repository that is here."""
    from models.unlisted import adopt

    if model:
        adopt(model)
    with contextlib.suppress(ValueError):  # a command that needs it refuses it
        adopt(settings.model)


if __name__ == "__main__":
    sys.exit(main())
