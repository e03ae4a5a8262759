"""Passes the events of a job from the threads that run it to the thread that reads them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.worker.events import Event
from pruning.errors import ExplainedError

POLL_SECONDS = 0.1  # between two checks for cancellation while no event comes


@dataclass(frozen=True)
class _End:
    error: Exception | None


class EventStream:
    """Events of one job. Ends when all producers have ended, and at once when cancelled.

    A reader that leaves the `with` block before the end cancels the job. While no event comes,
    `failing` may return a reason to give the job up.
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
        self._events: queue.Queue[Event | _End] = queue.Queue()

    def put(self, event: Event) -> None:
        self._events.put(event)

    def end(self, error: Exception | None = None) -> None:
        """The last call of a producer; the reader raises `error`."""
        with self._lock:
            self._ends += 1
        self._events.put(_End(error))

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.ended:
            self.cancelled.set()

    @property
    def ended(self) -> bool:
        return self._ends >= self.producers

    def __iter__(self) -> Iterator[Event]:
        """The events until the end. Raises `ExplainedError` with the reason of `failing`."""
        running = self.producers
        while not self.cancelled.is_set():
            try:
                event = self._events.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if reason := self.failing():
                    raise ExplainedError(reason) from None
                continue
            if isinstance(event, _End):
                if event.error is not None:
                    raise event.error
                if (running := running - 1) == 0:
                    return
                continue
            yield event
