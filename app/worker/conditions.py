"""Under which conditions a time was measured: without them a bar says nothing."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from models.base import Adapter


def conditions(adapter: Adapter) -> dict[str, str]:
    """What the adapter says of itself, then the machine and the versions."""
    on_cpu = {"cores": f"{torch.get_num_threads()}"} if adapter.device.type == "cpu" else {}
    return {
        **adapter.conditions,
        **on_cpu,
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }
