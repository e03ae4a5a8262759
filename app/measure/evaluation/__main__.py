"""Runs lmms-eval with TokenScope: `python -m app.measure.evaluation --model tokenscope …`."""

from __future__ import annotations

import sys

MISSING = "tokenscope: lmms-eval is not installed here; requirements-eval.txt says how."


def main() -> int:
    """Registers the model, then runs lmms-eval's own command line."""
    try:
        from lmms_eval.__main__ import cli_evaluate
    except ImportError as error:
        print(f"{MISSING} ({error})", file=sys.stderr)
        return 2
    from app.measure.evaluation.lmms import register

    register()
    cli_evaluate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
