"""Events on their way from the thread that makes them to the one that shows them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from app.events import Event

SECONDS_BETWEEN_LOOKS = 0.1  # for a job that is cancelled while nothing is said


@dataclass(frozen=True)
class _End:
    error: Exception | None


class Stream:
    """What threads say of one job. It ends when all of them have, and at once when cancelled."""

    def __init__(self, cancelled: threading.Event, producers: int = 1) -> None:
        self.cancelled, self.producers = cancelled, producers
        self._ends = 0
        self._lock = threading.Lock()
        self.patience = inf  # seconds without an event after which the job is given up
        self._said: queue.Queue[Event | _End] = queue.Queue()

    def put(self, event: Event) -> None:
        self._said.put(event)

    def end(self, error: Exception | None = None) -> None:
        """Nothing follows from this thread; an error is raised where the stream is read."""
        with self._lock:
            self._ends += 1
        self._said.put(_End(error))

    @property
    def ended(self) -> bool:
        return self._ends >= self.producers

    def __iter__(self) -> Iterator[Event]:
        """The events until the end. Raises `GivenUpError` when none came for too long."""
        heard, running = time.monotonic(), self.producers
        while not self.cancelled.is_set():
            try:
                said = self._said.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                if time.monotonic() - heard > self.patience:
                    raise GivenUpError(self.patience) from None
                continue
            if isinstance(said, _End):
                if said.error is not None:
                    raise said.error
                if (running := running - 1) == 0:
                    return
                continue
            yield said
            heard = time.monotonic()


class GivenUpError(ValueError):
    """A step that takes so long that nobody should wait for it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"A single step has taken more than {seconds:.0f} s, so the comparison was given up. "
            "Try fewer frames or a smaller model."
        )
