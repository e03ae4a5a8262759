"""The worker on ZeroGPU, which lends a device for one call, to a fork of the page's process.

Arguments and events are pickled, and changes in the fork are lost: a comparison is one call, and
each call warms its methods up. Import it on ZeroGPU only: the platform provides `spaces`, which
must be imported before CUDA is used.
"""

from __future__ import annotations

import spaces  # isort: skip

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from contextvars import copy_context

from app.settings import Settings
from app.worker.event_stream import EventStream
from app.worker.events import Event, LaneDone
from app.worker.local import LocalWorker
from app.worker.pace import Pace
from app.worker.protocol import Health, Job
from app.worker.serialization import detach_media, portable_error, with_media
from pruning.errors import ExplainedError

log = logging.getLogger(__name__)


class ZeroGPUWorker:
    """Runs each job in one call with a device."""

    def __init__(self, settings: Settings) -> None:
        self.local = LocalWorker(settings)
        self.pace = Pace()
        self._lent = spaces.GPU(duration=self.pace.seconds)(self._events)

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        """Events of one job; Stop ends them at once and returns the device after the next step.

        The call runs in a thread with the context of the request, where the platform finds the
        visitor's quota.
        """
        stream = EventStream(cancelled or threading.Event())
        context = copy_context()
        threading.Thread(
            target=context.run, args=(self._follow, job, stream), name="lent", daemon=True
        ).start()
        with stream:
            for event in stream:
                yield with_media(event, job.media)

    def _follow(self, job: Job, stream: EventStream) -> None:
        try:
            with closing(
                self._lent(job)
            ) as events:  # closing it ends the fork after its next event
                for event in events:
                    if isinstance(event, Exception):
                        raise event
                    if stream.cancelled.is_set():
                        break
                    if isinstance(event, LaneDone):
                        self.pace.learn(job, event.result)
                    stream.put(event)
        except Exception as error:
            stream.end(error)
        else:
            stream.end()

    def _events(self, job: Job) -> Iterator[Event | Exception]:
        """Runs in the fork."""
        try:
            for event in self.local.steps(job, threading.Event()):
                yield detach_media(event, job.media)
        except Exception as error:
            if not isinstance(error, ExplainedError):
                log.exception("job failed", extra={"job": job.number})
            yield portable_error(error)

    def preload(self) -> None:
        """Put the weights on the device now; the platform copies them to the device of a call."""
        self.local.model(self.local.settings.model)

    def health(self) -> Health:
        return Health()  # the platform monitors its devices
