"""The conditions of a measurement: device, threads, weights and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from models.devices import processor
from models.engine.base import Adapter
from models.weights import snapshot_commit


def conditions(adapter: Adapter) -> dict[str, str]:
    """The adapter's own conditions, the commit of its weights, the machine and the versions."""
    on_cpu = {"machine": processor(), "threads": f"{torch.get_num_threads()}"}
    weights = snapshot_commit(adapter.model.name_or_path)
    return {
        **adapter.conditions,
        **({"weights": weights} if weights else {}),
        **(on_cpu if adapter.device.type in ("cpu", "mps") else {}),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }


def load_text() -> str:
    """Processes that run or wait, a mean of the last minute: "1.2 on 2 cores"; "" if unknown."""
    if not hasattr(os, "getloadavg"):
        return ""
    own = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if own else os.cpu_count() or 1
    return f"{os.getloadavg()[0]:.1f} on {cores} core{'s' if cores > 1 else ''}"
