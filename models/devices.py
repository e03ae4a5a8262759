"""Chooses the device and the number format of a model, and says why CUDA is not used."""

from __future__ import annotations

import platform
import re
from functools import lru_cache
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")
PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of a CPU that multiplies bfloat16
DRIVERS = {"12": 525, "13": 580}  # the oldest driver that each major version of CUDA runs on
WHEELS = "https://pytorch.org/get-started/previous-versions"
BFLOAT16_MACOS = 14  # the first macOS whose GPU has bfloat16


def best_device() -> str:
    """ "cuda", "mps" on a Mac, or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def best_dtype(device: str, large: bool = True) -> str:
    """bfloat16 where the hardware multiplies it, else float16; on a CPU float32.

    GPUs before Ampere, such as a T4, emulate bfloat16 slowly. On a CPU only a large model gains by
    it: answers of small models stay the same on every machine.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cpu":
        return "bfloat16" if large and cpu_has_bfloat16() else "float32"
    if kind == "cuda":
        has_it = torch.cuda.get_device_capability(device) >= (8, 0)
    elif kind == "mps":
        has_it = torch.backends.mps.is_macos_or_newer(BFLOAT16_MACOS, 0)
    else:
        return "bfloat16"
    return "bfloat16" if has_it else "float16"


def device_name(device: str) -> str:
    """The name of the hardware, such as "NVIDIA GeForce RTX 4070"."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_name(device)
    return processor() if kind in ("cpu", "mps") else kind


@lru_cache(maxsize=1)
def processor() -> str:
    """The name of the CPU where the system has it, else its architecture."""
    lines = PROCESSOR.read_text().splitlines() if PROCESSOR.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16; False where the system does not say so."""
    text = PROCESSOR.read_text() if PROCESSOR.is_file() else ""
    return bool(BFLOAT16_FLAGS & set(text.split()))


def synchronize(device: str | object) -> None:
    """Waits until a device has finished; the CPU always has."""
    import torch

    kind = torch.device(device).type  # type: ignore[arg-type]
    if kind == "cuda":
        torch.cuda.synchronize(device)  # type: ignore[arg-type]
    elif kind == "mps":
        torch.mps.synchronize()


def why_no_cuda() -> str:
    """One sentence if this machine has an NVIDIA driver that PyTorch cannot use; else ""."""
    import torch

    driver = driver_version()
    if driver is None or torch.cuda.is_available():
        return ""
    release = torch.__version__.partition("+")[0]
    if torch.version.cuda is None:
        reason = f"PyTorch {torch.__version__} is a build for the CPU"
    elif driver < (wanted := DRIVERS.get(torch.version.cuda.partition(".")[0], 0)):
        reason = f"driver {driver}, PyTorch {release} needs {wanted}"
    else:
        reason = f"driver {driver} has no device that PyTorch {release} can use"
    return f"CUDA cannot be used: {reason}. Wheels for other drivers: {WHEELS}"


def driver_version() -> int | None:
    """The major version of the NVIDIA driver; None if there is none."""
    text = DRIVER.read_text() if DRIVER.is_file() else ""
    found = re.search(r"Kernel Module.*?\s(\d+)\.\d+", text)
    return int(found[1]) if found else None
