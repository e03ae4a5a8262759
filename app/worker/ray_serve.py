"""The worker on a Ray cluster: each replica owns a device, on this machine or on another.

Frames travel through the object store, events come back as a stream by handle; nothing is served
over HTTP. Needs requirements-ray.txt.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a replica's log is JSON too
os.environ.setdefault("RAY_worker_niceness", "0")  # by default 15, and lanes are timed

import ray
from ray import serve
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    WorkerCrashedError,
)
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError

from app.logs import log_as_json
from app.settings import ROOT, Settings
from app.worker.event_stream import EventStream
from app.worker.events import Event
from app.worker.local import LocalWorker
from app.worker.parallel import ParallelWorker
from app.worker.protocol import Health, Job, Worker
from app.worker.serialization import emptied, named, with_media, without_media
from models.uploads.media import Media

APPLICATION = "tokenscope"
LOST = (
    "The worker that ran this comparison was lost; another is being started. "
    "Your upload is still here: compare again."
)
GONE = (  # a replica's process or machine
    RayActorError,
    WorkerCrashedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    ReplicaUnavailableError,
)
SERVING = ("RUNNING", "UPDATING", "PENDING_MIGRATION")  # states of a replica that takes jobs
FULL = "Every worker is busy and more wait than are let in. Try again in a while."

log = logging.getLogger(__name__)


class Replica:
    """One worker process on the cluster. Its log is its standard error, which Ray keeps."""

    def __init__(self, settings: Settings) -> None:
        log_as_json()
        self.worker = LocalWorker(settings)
        self.worker.preload()

    async def run(self, job: Job, media: Media) -> AsyncIterator[Event | Exception]:
        """Events of one job. Ray cancels this at an await, and then the job stops within a step.

        Ray lets the next request in before this one has cleaned up: it is the worker's own thread
        that keeps two jobs from the device.
        """
        cancelled = threading.Event()
        try:
            events = self.worker.run(replace(job, media=media), cancelled)
            while (event := await asyncio.to_thread(next, events, None)) is not None:
                yield without_media(event, media)
        except Exception as error:
            yield named(error)
        finally:
            cancelled.set()

    def check_health(self) -> None:
        """Ray replaces a replica that raises here."""
        if not (health := self.worker.health()).fit:
            raise RuntimeError(health.reason)


class RayWorker:
    """Runs each job on whichever replica is free."""

    def __init__(self, handle: Any, ship: Callable[[Media], Any] = ray.put) -> None:
        self.handle, self.ship = handle.options(stream=True), ship

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        stream = EventStream(cancelled or threading.Event())
        empty = replace(job, media=emptied(job.media))
        events = self.handle.run.remote(empty, self.ship(job.media))
        threading.Thread(target=_listen, args=(events, stream), daemon=True).start()
        try:
            with stream:
                for event in stream:
                    yield with_media(event, job.media)
        finally:  # a stream that is merely dropped would run on to its end
            events.cancel()

    def preload(self) -> None:
        """Replicas do so when they start."""

    def health(self) -> Health:
        """Fit while a replica runs; Ray replaces those that are lost."""
        try:
            application = serve.status().applications[APPLICATION]
        except Exception as error:  # of Ray, of Serve, or there is no such application
            return Health(f"The Ray cluster does not answer ({type(error).__name__}).")
        replicas = [one.replica_states for one in application.deployments.values()]
        if any(states.get(state) for states in replicas for state in SERVING):
            return Health()
        return Health(
            f"No replica runs; Ray Serve calls the application {application.status.value}."
        )


def _listen(events: Iterator[Event | Exception], stream: EventStream) -> None:
    try:
        for event in events:
            if isinstance(event, Exception):
                raise event
            stream.put(event)
    except Exception as error:
        if not stream.cancelled.is_set():  # else it is Ray saying that it was
            stream.end(readable_error(error))
    else:
        stream.end()


def readable_error(error: Exception) -> Exception:
    """What Ray raises as a sentence, where a person should read one."""
    if isinstance(error, BackPressureError):
        return ValueError(FULL)
    if isinstance(error, GONE):
        log.warning("replica lost", extra={"error": type(error).__name__})
        return ValueError(LOST)
    return error  # whoever shows it says "internal error"


def start(settings: Settings) -> Worker:
    """Deploy the replicas, on the cluster that RAY_ADDRESS names or on a new one here."""
    log_as_json()  # again: with their import Ray and Serve have brought logs of their own
    connect(os.environ.get("RAY_ADDRESS", ""))
    serve.start(proxy_location="Disabled")  # by handle only, nothing over HTTP
    worker = RayWorker(serve.run(application(settings), name=APPLICATION, route_prefix=None))
    return worker if settings.spread == 1 else ParallelWorker([worker] * settings.spread)


def connect(address: str) -> None:
    """Join the cluster that this machine is a node of, or start one whose dashboard stays off.

    Those who join send their code with them. Raises a `ValueError` for an address of Ray Client.
    """
    if address.startswith("ray://"):
        raise ValueError(
            f"RAY_ADDRESS is {address}, but answers cannot stream through Ray Client. Make this "
            "machine a node with `ray start --address=HEAD:6379 --num-cpus=0`, where HEAD is the "
            "cluster's head, and set RAY_ADDRESS=auto."
        )
    ignored = ["tests", "docs", ".git", ".venv", "out"]
    if address:
        options = {"runtime_env": {"working_dir": str(ROOT), "excludes": ignored}}
    else:  # "local", or Ray would join whatever cluster runs on this machine
        address, code = "local", {"env_vars": {"PYTHONPATH": str(ROOT)}}
        options = {"include_dashboard": False, "runtime_env": code}
    ray.init(
        address, ignore_reinit_error=True, log_to_driver=False, configure_logging=False, **options
    )


def application(settings: Settings) -> Any:
    """The replicas with what they are told: all but the logins, which are the page's alone."""
    return deployment(settings).bind(replace(settings, users=""))


def deployment(settings: Settings) -> Any:
    """One job at a time on a replica, a bounded number before them, as many as are needed."""
    fewest, most = settings.replicas, max(settings.replicas, settings.most_replicas)
    number = {"num_replicas": fewest}
    if most > fewest:
        scaling = {"min_replicas": fewest, "max_replicas": most, "target_ongoing_requests": 1}
        number = {"autoscaling_config": scaling}
    return serve.deployment(
        Replica,
        max_ongoing_requests=1,
        max_queued_requests=settings.queue_size,
        health_check_period_s=5,
        ray_actor_options={"num_gpus": settings.replica_gpus},
        **number,
    )
