"""Whether a method does on this device what it does on the CPU, and the same each time.

Each method gets the very signals that a lane on the CPU gave it, moved to the device: what differs
then is the method's own arithmetic, not the model's.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import torch

from app.measure.gpu.uploads import QUESTION, upload
from models.engine.base import Adapter
from models.engine.pipeline import Lane
from models.loading import load
from pruning.base import CompressionMethod
from pruning.budget import BudgetError
from pruning.methods import METHODS, create
from pruning.token_map import TokenMap

RATIO = 0.4
MODELS = {"embedded-image": 0, "embedded-video": 8}  # frames of the drawn upload
DTYPES = ("float32", "bfloat16")
TESTS = "tests/models/test_on_cuda.py"  # it imports nothing that reads files


class Recorder:
    """A method that keeps what each of its calls was given, and otherwise is as it is."""

    def __init__(self, method: CompressionMethod) -> None:
        self.method = method
        self.calls: list[tuple[str, Any, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def compress(self, visual: Any, keep: int) -> TokenMap:
        self.calls.append(("compress", visual, keep))
        return self.method.compress(visual, keep)

    def prune(self, view: Any, keep: int) -> TokenMap:
        self.calls.append(("prune", view, keep))
        return self.method.prune(view, keep)


def same_as_cpu(device: str, tiny: bool) -> dict[str, Any]:
    """Every method with its first preset, on the embedded models, in float32 and bfloat16."""
    rows = []
    for model, frames in MODELS.items():
        for dtype in DTYPES[:1] if tiny else DTYPES:
            adapter = load(model, "cpu", dtype)
            media = upload(min(frames, 4) if tiny else frames, 64 if tiny else 384)
            for method in methods_for(media.kind):
                told = {"model": model, "dtype": dtype, "method": method.name}
                rows.append(told | compared(adapter, media, method, device))
    return {"rows": rows, "all_equal": all(row.get("equal") for row in rows)}


def methods_for(kind: str) -> Iterator[CompressionMethod]:
    """Every method that takes such an upload, at one ratio."""
    for each in METHODS:
        if kind in each.media:
            has_ratio = hasattr(create(each.name), "retention_ratio")
            yield create(each.name, **({"retention_ratio": RATIO} if has_ratio else {}))


def compared(
    adapter: Adapter, media: Any, method: CompressionMethod, device: str
) -> dict[str, Any]:
    """How a method's maps on the device differ from those on the CPU, and from run to run."""
    recorder: Any = Recorder(method)
    lane = Lane(adapter, media, QUESTION, recorder)
    try:
        for step in (lane.read, lane.encode, lane.compress, lane.prefill):
            step()
    except BudgetError as error:
        return {"equal": True, "refused": str(error)}
    anchors, weights, repeats = 0, 0.0, True
    with torch.inference_mode():
        for verb, signals, keep in recorder.calls:
            run, there = getattr(method, verb), moved(signals, device)
            here, first, second = run(signals, keep), run(there, keep), run(there, keep)
            repeats = repeats and differences(first, second) == (0, 0.0)
            apart = differences(here, first)
            anchors, weights = anchors + apart[0], max(weights, apart[1])
    return {
        "equal": anchors == 0 and weights < 1e-4 and repeats,
        "maps": len(recorder.calls),
        "anchors_differ": anchors,
        "weights_differ": weights,
        "repeats_itself": repeats,
    }


def differences(one: TokenMap, other: TokenMap) -> tuple[int, float]:
    """Anchors that only one of two maps has, and how far their matrices are apart at most."""
    apart = set(one.anchors.tolist()) ^ set(other.anchors.tolist())
    if len(one) != len(other):
        return max(len(apart), 1), float("inf")
    matrices = [each.matrix().cpu().to_dense() for each in (one, other)]
    return len(apart), float((matrices[0] - matrices[1]).abs().max()) if len(one) else 0.0


def moved(record: Any, device: str) -> Any:
    """A record with its tensors on a device."""
    tensors = {
        field.name: value.to(device)
        for field in dataclasses.fields(record)
        if torch.is_tensor(value := getattr(record, field.name))
    }
    return dataclasses.replace(record, **tensors)


def marked_tests() -> dict[str, Any]:
    """The tests that need CUDA, by pytest: vanilla is `generate`, and the laws, on the device."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", TESTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    lines = done.stdout.splitlines() or done.stderr.splitlines() or ["pytest said nothing"]
    failed = [line[:200] for line in lines if line.startswith(("FAILED", "ERROR"))]
    told = {"summary": lines[-1], "exit_status": done.returncode}
    return told | ({"failed": "; ".join(failed)[:500] or lines[-1]} if done.returncode else {})
