"""The worker that the settings name, behind its queue, and watched."""

from __future__ import annotations

from dataclasses import replace

from app.settings import Settings
from app.worker.job_queue import QueuedWorker
from app.worker.metrics import Metrics
from app.worker.monitoring import MonitoredWorker
from app.worker.parallel import ParallelWorker
from app.worker.protocol import AdmittingWorker, Worker


def start_worker(settings: Settings) -> AdmittingWorker:
    """What a page asks: a worker that queues, counts and logs."""
    metrics = Metrics()
    if settings.metrics_port:
        metrics.serve(settings.metrics_port)
    queue = QueuedWorker(engine(settings), settings, at_once=jobs_at_once(settings))
    return MonitoredWorker(queue, metrics)


def engine(settings: Settings) -> Worker:
    """What runs jobs: this process, a Ray cluster, or ZeroGPU, as `settings.worker` says."""
    if settings.worker == "local":
        return local_worker(settings)
    if settings.worker == "ray":
        from app.worker.ray_serve import start  # an optional requirement

        return start(settings)
    if settings.worker == "zero":
        from app.worker.zero_gpu import ZeroGPUWorker  # there is no `spaces` elsewhere

        return ZeroGPUWorker(settings)
    raise ValueError(f"TOKENSCOPE_WORKER is {settings.worker!r}, wanted local, ray or zero.")


def local_worker(settings: Settings) -> Worker:
    """One thread a device; the lanes of a job are spread over the devices."""
    from app.worker.local import LocalWorker  # brings torch

    devices = settings.device.split(",")
    workers = [LocalWorker(replace(settings, device=device.strip())) for device in devices]
    return workers[0] if len(workers) == 1 else ParallelWorker(workers)


def jobs_at_once(settings: Settings) -> int:
    """One in this process; as many as the replicas of a cluster take, each on `spread` of them."""
    if settings.worker != "ray":
        return 1
    return max(1, max(settings.replicas, settings.most_replicas) // settings.spread)
