"""The conditions of a measurement: device, threads, weights and versions."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

from models.engine.base import Adapter
from models.weights import snapshot_commit


def conditions(adapter: Adapter) -> dict[str, str]:
    """The adapter's own conditions, the commit of its weights, the machine and the versions."""
    on_cpu = {"machine": processor(), "threads": f"{torch.get_num_threads()}"}
    weights = snapshot_commit(adapter.model.name_or_path)
    return {
        **adapter.conditions,
        **({"weights": weights} if weights else {}),
        **(on_cpu if adapter.device.type == "cpu" else {}),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }


@lru_cache(maxsize=1)
def processor() -> str:
    """The name of the CPU where the system has it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
