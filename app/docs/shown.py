"""What the gallery shows: one example of each kind, and what was asked about it."""

from __future__ import annotations

from dataclasses import dataclass

RATIOS = (1 / 3, 2 / 9, 1 / 9)


@dataclass(frozen=True)
class Shown:
    """An example that ships with the project, one of its questions, and the model that is asked."""

    file: str
    question: str
    model: str


SHOWN = {
    "image": Shown("scene-4.png", "Find the car on the right.", "embedded-image"),
    "video": Shown("clip-6.mp4", "Which way does the boat move?", "embedded-video"),
}
