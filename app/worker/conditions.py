"""Under which conditions a time was measured: without them a bar says nothing."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

from models.engine.base import Adapter
from models.weights import commit


def conditions(adapter: Adapter) -> dict[str, str]:
    """What the adapter says of itself, whence its weights are, the machine and the versions."""
    on_cpu = {"machine": processor(), "threads": f"{torch.get_num_threads()}"}
    read = commit(adapter.model.name_or_path)
    return {
        **adapter.conditions,
        **({"weights": read} if read else {}),
        **(on_cpu if adapter.device.type == "cpu" else {}),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }


@lru_cache(maxsize=1)
def processor() -> str:
    """The CPU by its own name where the system tells it, else by its architecture."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
