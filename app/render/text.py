"""Format numbers with their units, and cut strings to a width."""

from __future__ import annotations

import difflib
import unicodedata

import numpy as np

NOTHING = "–"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet runs a cell that begins so


def escape_formula(text: str) -> str:
    """The text of a CSV cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def format_number(value: float, digits: int = 3) -> str:
    """`digits` significant figures, never in powers of ten; "–" for inf and nan."""
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else NOTHING
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - int(np.floor(np.log10(abs(rounded))))
    return f"{rounded:,.{max(decimals, 0)}f}"


def format_milliseconds(seconds: float) -> str:
    """ "1,230 ms", "41.2 ms", "0.385 ms"."""
    return f"{format_number(seconds * 1e3)} ms"


def format_seconds(time: float) -> str:
    """ "1.25 s"; from ten seconds on "83.5 s"."""
    return f"{time:.2f} s" if abs(time) < 9.995 else f"{time:.1f} s"


def format_megabytes(size: float) -> str:
    return f"{format_number(size / 1e6)} MB"


def format_compute(tflops: float) -> str:
    """ "8.5 TFLOPs"; below 0.1 in GFLOPs."""
    if tflops >= 0.1:
        return f"{format_number(tflops)} TFLOPs"
    return f"{format_number(1e3 * tflops)} GFLOPs"


def format_percent(share: float) -> str:
    return f"{format_number(100 * share)} %"


def format_factor(factor: float) -> str:
    """ "×2.9", "×12", "×0.83"."""
    return f"×{format_number(factor, 2)}"


def one_line(text: str) -> str:
    """The text on one line, without control characters that a terminal would obey."""
    chars = (char if unicodedata.category(char)[0] not in "CZ" else " " for char in text)
    return " ".join("".join(chars).split())


def shorten(text: str, width: int) -> str:
    text = one_line(text)
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def shorten_middle(text: str, width: int) -> str:
    """Cut in the middle, because lane names that start alike may differ at the end."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail].rstrip()}…{text[-tail:].lstrip(' ,')}"


def word_diff(reference: str, answer: str) -> list[tuple[str, bool]]:
    """The words of `answer`, each with whether it differs from the reference."""
    words = answer.split()
    blocks = difflib.SequenceMatcher(None, reference.split(), words, autojunk=False)
    same = {
        block.b + offset for block in blocks.get_matching_blocks() for offset in range(block.size)
    }
    return [(word, index not in same) for index, word in enumerate(words)]
