"""The worker on a Ray cluster: each replica owns a device, on this machine or another.

Frames go through the object store and events return as a stream by handle, without HTTP. Needs
requirements-ray.txt.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

from pruning.errors import ExplainedError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a replica's log is JSON too
os.environ.setdefault("RAY_worker_niceness", "0")  # default 15; lanes are timed

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
from app.worker.protocol import BusyError, Health, Job, Worker
from app.worker.serialization import detach_media, portable_error, with_media, without_frames
from models import openmp
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
    """One worker process of the cluster. It logs to standard error, which Ray stores."""

    def __init__(self, settings: Settings) -> None:
        log_as_json()
        self.worker = LocalWorker(settings)
        self.worker.preload()

    async def run(self, job: Job, media: Media) -> AsyncIterator[Event | Exception]:
        """Events of one job. Ray cancels it at an await; the job then stops within one step.

        Ray starts the next request before this one has cleaned up, so the worker's own thread
        must keep jobs apart.
        """
        cancelled = threading.Event()
        try:
            events = self.worker.run(replace(job, media=media), cancelled)
            while (event := await asyncio.to_thread(next, events, None)) is not None:
                yield detach_media(event, media)
        except Exception as error:
            yield portable_error(error)
        finally:
            cancelled.set()

    def check_health(self) -> None:
        """Ray replaces a replica that raises here."""
        if not (health := self.worker.health()).fit:
            raise RuntimeError(health.reason)


class RayWorker:
    """Runs each job on a free replica."""

    def __init__(self, handle: Any, ship: Callable[[Media], Any] = ray.put) -> None:
        self.handle, self.ship = handle.options(stream=True), ship

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        stream = EventStream(cancelled or threading.Event())
        empty = replace(job, media=without_frames(job.media))
        events = self.handle.run.remote(empty, self.ship(job.media))
        threading.Thread(target=_listen, args=(events, stream), daemon=True).start()
        try:
            with stream:
                for event in stream:
                    yield with_media(event, job.media)
        finally:  # a stream that is not cancelled runs to its end
            events.cancel()

    def preload(self) -> None:
        """Replicas load the model when they start."""

    def health(self) -> Health:
        """Fit while a replica runs; Ray replaces lost ones."""
        try:
            application = serve.status().applications[APPLICATION]
        except Exception as error:  # of Ray or Serve, or the application is missing
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
        if not stream.cancelled.is_set():  # otherwise Ray reports the cancellation
            stream.end(readable_error(error))
    else:
        stream.end()


def readable_error(error: Exception) -> Exception:
    """Ray's own errors as a sentence for the visitor; other errors unchanged."""
    if isinstance(error, BackPressureError):
        return BusyError(FULL)
    if isinstance(error, GONE):
        log.warning("replica lost", extra={"error": type(error).__name__})
        return BusyError(LOST)
    return error


def start(settings: Settings) -> Worker:
    """Deploy the replicas on the cluster of RAY_ADDRESS, or on a new one on this machine."""
    log_as_json()  # again: Ray and Serve set up their own logs when they are imported
    connect(os.environ.get("RAY_ADDRESS", ""))
    serve.start(proxy_location="Disabled")  # by handle only, nothing over HTTP
    worker = RayWorker(serve.run(application(settings), name=APPLICATION, route_prefix=None))
    return worker if settings.spread == 1 else ParallelWorker([worker] * settings.spread)


def connect(address: str) -> None:
    """Join the cluster that this machine is a node of, or start one without a dashboard.

    Joining sends the code along. Raises `ExplainedError` for an address of Ray Client.
    """
    if address.startswith("ray://"):
        raise ExplainedError(
            f"RAY_ADDRESS is {address}, but answers cannot stream through Ray Client. Make this "
            "machine a node with `ray start --address=HEAD:6379 --num-cpus=0`, where HEAD is the "
            "cluster's head, and set RAY_ADDRESS=auto."
        )
    ignored = ["tests", "docs", ".git", ".venv", "out"]
    waiting = {name: os.environ[name] for name in openmp.POLICY if name in os.environ}
    if address:
        code = {"working_dir": str(ROOT), "excludes": ignored, "env_vars": waiting}
        options = {"runtime_env": code}
    else:  # "local": otherwise Ray joins any cluster that runs on this machine
        address, code = "local", {"env_vars": {"PYTHONPATH": str(ROOT), **waiting}}
        options = {"include_dashboard": False, "runtime_env": code}
    ray.init(
        address, ignore_reinit_error=True, log_to_driver=False, configure_logging=False, **options
    )


def application(settings: Settings) -> Any:
    """The deployment with the settings, except the logins: replicas do not need them."""
    return deployment(settings).bind(replace(settings, users=""))


def deployment(settings: Settings) -> Any:
    """Replicas that run one job at a time, with a bounded queue and autoscaling."""
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
