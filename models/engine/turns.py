"""A lock: steps of lanes may run at the same time, but a model loads alone.

While transformers builds a model, it changes torch's default dtype for all threads; two threads
that build at the same time may leave it changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Allows many steps or one load at a time in this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._own = threading.local()  # .steps: number of steps of this thread, 0 or 1
        self._steps = 0
        self._loads = 0  # waiting or running
        self._loading = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Waits until no load is running or waiting."""
        with self._changed:
            self._changed.wait_for(lambda: not self._loads)
            self._steps += 1
        self._own.steps = 1
        try:
            yield
        finally:
            self._own.steps = 0
            with self._changed:
                self._steps -= 1
                self._changed.notify_all()

    @contextmanager
    def load(self) -> Iterator[None]:
        """Waits for other loads and for all steps, except the step that contains this load."""
        own = getattr(self._own, "steps", 0)  # a step loads the guide at its first use
        with self._changed:
            self._loads += 1
            self._steps -= own
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._steps and not self._loading)
            self._loading = True
        try:
            yield
        finally:
            with self._changed:
                self._loading = False
                self._loads -= 1
                self._steps += own
                self._changed.notify_all()


TURNS = Turns()
