"""The most that is read of one upload, whoever sent it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Checked before anything is decoded, and again while it is: headers lie."""

    bytes: int = 200_000_000  # of a file: minutes of what a phone films
    pixels: int = 50_000_000  # of a picture
    seconds: float = 300.0  # of a clip: at 1080p and 30 a second, a minute of one core to decode
    frames: int = 18_000  # of a clip: 60 a second


LIMITS = Limits()
