"""The device and the number format that a model gets, and why CUDA is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models import devices, memory
from models.catalog import find
from models.engine.timeline import Stopwatch
from models.loading import check, describe
from models.memory import GIB
from pruning.ops.precision import widest

VERSION = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")]
)
def test_a_gpu_before_ampere_such_as_a_t4_gets_float16(
    capability: tuple[int, int], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert devices.best_dtype("cuda:0") == dtype


@pytest.mark.parametrize(
    ("flags", "dtype"), [("avx512f avx512_bf16", "bfloat16"), ("avx2 avx512f", "float32")]
)
def test_a_large_model_on_a_cpu_gets_bfloat16_where_the_cpu_multiplies_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: a CPU\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    devices.cpu_has_bfloat16.cache_clear()
    assert check(find("llava-onevision-0.5b@random"), "cpu")[1] == dtype
    assert check(find("embedded-image"), "cpu")[1] == "float32", "its answers do not change"
    devices.cpu_has_bfloat16.cache_clear()


def test_a_mac_runs_on_its_gpu_and_its_clock_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: major <= 14)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append("mps"))
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 11 * GIB)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: GIB)
    assert devices.best_device() == "mps" and devices.best_dtype("mps") == "bfloat16"
    watch = Stopwatch(torch.device("mps"))
    with watch.running("prefill"):
        assert waits == ["mps"]
    assert waits == ["mps", "mps"] and watch.peak_bytes is None
    assert memory.free("mps") == 10 * GIB


def test_no_operation_asks_an_apple_gpu_for_float64() -> None:
    numbers = torch.ones(2, dtype=torch.int64)
    assert widest(numbers).dtype == torch.float64
    folder = Path(devices.__file__).parents[1] / "pruning"
    for path in folder.rglob("*.py"):
        text = path.read_text()
        assert ".double()" not in text, f"{path}: use pruning.ops.precision.widest"
        assert "torch.float64" not in text or path.stem == "precision", path


@pytest.mark.parametrize(
    ("text", "cuda", "sentence"),
    [
        (VERSION, "13.0", "driver 550, PyTorch 2.13.0 needs 580. Wheels for other drivers: https"),
        (VERSION, "12.6", "driver 550 has no device that PyTorch 2.13.0 can use"),
        (OPEN, None, "PyTorch 2.13.0+cpu is a build for the CPU"),
        ("", "13.0", ""),
    ],
)
def test_why_cuda_is_not_used_is_one_sentence(
    text: str, cuda: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "version"
    driver.write_text(text)
    monkeypatch.setattr(devices, "DRIVER", driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu" if cuda is None else "2.13.0+cu130")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    said = devices.why_no_cuda()
    assert sentence in said and said.startswith("CUDA cannot be used: " if sentence else "")


def test_what_runs_where_is_one_line_before_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "processor", lambda: "a laptop")
    monkeypatch.setattr(devices, "DRIVER", Path("/nowhere"))
    monkeypatch.setattr(memory, "free", lambda device: int(11.6 * GIB))
    (line,) = describe(find("llava-onevision-0.5b@random"), "cpu", "bfloat16")
    assert line == "LLaVA-OneVision 0.5B (random weights) on a laptop, bfloat16, 3.1 of 11.6 GiB"
    (line,) = describe(find("llava-onevision-0.5b@random"), "cpu", "float32")
    assert line.endswith("float32, 6.3 of 11.6 GiB")
    monkeypatch.setattr(memory, "free", lambda device: 5 * GIB)
    (line,) = describe(find("llava-onevision-0.5b@random"), "cpu", "float32")
    assert line.endswith("5.0 GiB; for large uploads its lanes run one after another")
