"""The worker on ZeroGPU, where a device is lent for one call at a time, to a fork of the page.

Arguments and events are pickled between the two, and what the fork changes is gone with it. So a
whole comparison is one call, and its first lanes are warmed up in each. Imported there only: the
platform brings `spaces`, which must be first to see CUDA.
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
from app.worker.events import Event
from app.worker.local import LocalWorker
from app.worker.protocol import Health, Job
from app.worker.serialization import named, with_media, without_media

log = logging.getLogger(__name__)

# Seconds asked for, which a visitor's quota must hold; what a comparison leaves is given back.
START, LANE, FRAME, TOKEN = 10.0, 3.0, 0.2, 0.1


class ZeroGPUWorker:
    """Runs each job in one call that has a device."""

    def __init__(self, settings: Settings) -> None:
        self.local = LocalWorker(settings)
        self._lent = spaces.GPU(duration=seconds)(self._events)

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        """Events of one job; Stop ends them at once, and the device is given back soon after.

        The call waits in a thread of its own, for a device and for each event. It has the context
        of whoever asked: there the platform finds whose quota it is.
        """
        stream = EventStream(cancelled or threading.Event())
        asking = copy_context()
        threading.Thread(
            target=asking.run, args=(self._follow, job, stream), name="lent", daemon=True
        ).start()
        with stream:
            for event in stream:
                yield with_media(event, job.media)

    def _follow(self, job: Job, stream: EventStream) -> None:
        """What the fork says, for as long as somebody listens."""
        try:
            with closing(self._lent(job)) as events:  # closed: the fork ends after its next event
                for event in events:
                    if isinstance(event, Exception):
                        raise event
                    if stream.cancelled.is_set():
                        break
                    stream.put(event)
        except Exception as error:
            stream.end(error)
        else:
            stream.end()

    def _events(self, job: Job) -> Iterator[Event | Exception]:
        """In the fork."""
        try:
            for event in self.local.steps(job, threading.Event()):
                yield without_media(event, job.media)
        except Exception as error:
            if not isinstance(error, ValueError):
                log.exception("job failed", extra={"job": job.number})
            yield named(error)

    def preload(self) -> None:
        """Weights that are on the device now are streamed to whichever is lent later."""
        self.local.model(self.local.settings.model)

    def health(self) -> Health:
        return Health()  # the platform looks after its devices


def seconds(job: Job) -> float:
    """How long a device is asked for, by what the job holds."""
    lane = LANE + FRAME * len(job.media.frames) + TOKEN * job.max_new_tokens
    return START + len(job.methods) * lane
