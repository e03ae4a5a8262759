"""Under which conditions a time was measured: without them a bar says nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from models.base import Adapter


def conditions(adapter: Adapter) -> dict[str, str]:
    return {
        "device": device_name(adapter.device),
        "dtype": str(adapter.dtype).removeprefix("torch."),
        "attention": adapter.attention_kernel,
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }


def device_name(device: torch.device) -> str:
    """"NVIDIA H200", or the processor and how many of its cores torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = min(torch.get_num_threads(), os.cpu_count() or 1)
    return f"CPU ({platform.machine()}, {cores} cores)"
