"""Steps of lanes run side by side on several devices; a model is loaded beside none of them.

For as long as transformers builds a model it changes the dtype in which all threads make new
tensors, and two that build at once may leave it changed for good.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Of one process: many steps at once, or one load."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._own = threading.local()  # .steps: of this thread
        self._steps = 0
        self._loads = 0  # that wait or run
        self._loading = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Waits while a model is loaded, or waits to be."""
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
        """Waits for other loads and for all steps, but for one that this load is a part of."""
        own = getattr(self._own, "steps", 0)  # the first step that asks a guide loads it
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
