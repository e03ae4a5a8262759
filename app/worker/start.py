"""Creates the worker that the settings name, with its queue and metrics."""

from __future__ import annotations

from dataclasses import replace

from app.settings import Settings
from app.worker.job_queue import QueuedWorker
from app.worker.metrics import Metrics
from app.worker.monitoring import MonitoredWorker
from app.worker.parallel import ParallelWorker
from app.worker.protocol import AdmittingWorker, Worker


def start_worker(settings: Settings) -> AdmittingWorker:
    """The worker of a page, with a queue, metrics and a log."""
    metrics = Metrics()
    if settings.metrics_port:
        metrics.serve(settings.metrics_port)
    queue = QueuedWorker(backend(settings), settings, at_once=jobs_at_once(settings))
    return MonitoredWorker(queue, metrics)


def backend(settings: Settings) -> Worker:
    """The worker that runs jobs: in this process, on a Ray cluster or on ZeroGPU."""
    if settings.worker == "local":
        return local_worker(settings)
    if settings.worker == "ray":
        from app.worker.ray_serve import start  # an optional requirement

        return start(settings)
    if settings.worker == "zero":
        from app.worker.zero_gpu import ZeroGPUWorker  # `spaces` exists there only

        return ZeroGPUWorker(settings)
    raise ValueError(f"TOKENSCOPE_WORKER is {settings.worker!r}, wanted local, ray or zero.")


def local_worker(settings: Settings) -> Worker:
    """One thread for each device; the lanes of a job are distributed over them."""
    from app.worker.local import LocalWorker  # imports torch

    devices = settings.device.split(",")
    workers = [LocalWorker(replace(settings, device=device.strip())) for device in devices]
    return workers[0] if len(workers) == 1 else ParallelWorker(workers)


def jobs_at_once(settings: Settings) -> int:
    """1 in this process; on a cluster one for every `spread` replicas."""
    if settings.worker != "ray":
        return 1
    return max(1, max(settings.replicas, settings.most_replicas) // settings.spread)
