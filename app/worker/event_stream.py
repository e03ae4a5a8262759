"""Events on their way from the thread that makes them to the one that shows them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.worker.events import Event

SECONDS_BETWEEN_LOOKS = 0.1  # for a job that is cancelled while nothing is said


@dataclass(frozen=True)
class _End:
    error: Exception | None


class EventStream:
    """What threads say of one job. It ends when all of them have, and at once when cancelled.

    While nothing is said, `failing` is asked why nothing should be waited for any longer.
    """

    def __init__(
        self,
        cancelled: threading.Event,
        producers: int = 1,
        failing: Callable[[], str] = lambda: "",
    ) -> None:
        self.cancelled, self.producers, self.failing = cancelled, producers, failing
        self._ends = 0
        self._lock = threading.Lock()
        self._said: queue.Queue[Event | _End] = queue.Queue()

    def put(self, event: Event) -> None:
        self._said.put(event)

    def end(self, error: Exception | None = None) -> None:
        """Nothing follows from this thread; an error is raised where the stream is read."""
        with self._lock:
            self._ends += 1
        self._said.put(_End(error))

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *error: object) -> None:
        """Who stops reading before the end stops the job."""
        if not self.ended:
            self.cancelled.set()

    @property
    def ended(self) -> bool:
        return self._ends >= self.producers

    def __iter__(self) -> Iterator[Event]:
        """The events until the end. Raises a `ValueError` where `failing` has a reason."""
        running = self.producers
        while not self.cancelled.is_set():
            try:
                said = self._said.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                if reason := self.failing():
                    raise ValueError(reason) from None
                continue
            if isinstance(said, _End):
                if said.error is not None:
                    raise said.error
                if (running := running - 1) == 0:
                    return
                continue
            yield said
