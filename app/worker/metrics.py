"""Prometheus metrics of the worker, on a separate port."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.process_collector import ProcessCollector

from app.worker.events import Event, LaneDone, LaneFailed, PhaseDone
from app.worker.protocol import Worker

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)  # from a step to a job's time limit


class Metrics:
    """Metrics of one server. Labels are names of methods and phases, nothing a visitor sent."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.jobs = Counter(
            "tokenscope_jobs", "comparisons, by how they ended", ["outcome"], registry=registry
        )
        self.lanes = Counter(
            "tokenscope_lanes", "lanes, by how they ended", ["method", "outcome"], registry=registry
        )
        self.phases = _histogram(registry, "tokenscope_phase_seconds", "a phase of a lane", "phase")
        self.waits = _histogram(registry, "tokenscope_wait_seconds", "from asking to running")
        self.queue_length = Gauge(
            "tokenscope_queue_length", "comparisons that wait", registry=registry
        )
        self.fit = Gauge("tokenscope_worker_fit", "1: it takes jobs", registry=registry)
        self.device_bytes = Gauge(
            "tokenscope_device_memory_bytes", "of the device, in use", registry=registry
        )

    def watch(self, worker: Worker, waiting: Callable[[], int]) -> None:
        """Read queue length, health and memory at each scrape."""
        self.queue_length.set_function(waiting)
        self.fit.set_function(lambda: worker.health().fit)
        self.device_bytes.set_function(lambda: worker.health().device_bytes)

    def take(self, event: Event, methods: list[str]) -> None:
        """Count an event of a job; `methods` names its lanes."""
        if isinstance(event, PhaseDone):
            self.phases.labels(event.phase.name).observe(event.phase.seconds)
        elif isinstance(event, LaneDone):
            self.lanes.labels(methods[event.lane], "answered").inc()
        elif isinstance(event, LaneFailed):
            self.lanes.labels(methods[event.lane], "failed").inc()

    def serve(self, port: int) -> None:
        """Serve the metrics to this machine only."""
        start_http_server(port, addr="127.0.0.1", registry=self.registry)


def _histogram(registry: CollectorRegistry, name: str, about: str, *labels: str) -> Histogram:
    return Histogram(name, f"seconds: {about}", labels, buckets=SECONDS, registry=registry)
