"""What a front end may ask of a worker, whichever machine it runs on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from app.events import Event
from models.media import Media
from models.record import Truth
from pruning.base import CompressionMethod


@dataclass(frozen=True, eq=False)
class Job:
    """One question about one upload, to be answered by every method; valid by construction."""

    model: str
    media: Media
    question: str
    methods: tuple[CompressionMethod, ...]  # vanilla first
    max_new_tokens: int = 64
    temperature: float = 0.0  # 0 is greedy
    seed: int = 0
    truth: Truth | None = None


class Worker(Protocol):
    """Runs jobs. The last event of a job that was not cancelled is `ComparisonDone`."""

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]: ...
