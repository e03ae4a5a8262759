"""Names of tensors in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAMES = 3  # tensors listed in an error message


def format_names(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")
