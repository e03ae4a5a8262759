"""Whether a method computes on this device what it computes on the CPU, and repeats itself.

Each method gets the same signals on both: those of a lane on the CPU. So differences come from the
method's arithmetic, not from the model's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import torch

from app.measure.gpu.costs import to_device
from app.measure.gpu.report import ROOT
from app.measure.uploads import CENTRE, QUESTION, random_upload
from models.engine.base import Adapter
from models.engine.pipeline import Lane
from models.loading import load
from pruning.base import CompressionMethod
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, create
from pruning.token_map import TokenMap

RATIO = 0.4
MODELS = {"embedded-image": 0, "embedded-video": 16}  # frames of the random upload
DTYPES = ("float32", "bfloat16")
TOLERANCE = 1e-4  # of a weight
TESTS = "tests/models/test_on_cuda.py"  # imports no reader of files
RESERVE = 10.0  # seconds to end pytest


class Recorder:
    """A method that also stores the arguments of its calls."""

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


def same_as_cpu(device: str) -> dict[str, Any]:
    """Every method with its first preset, on the embedded models, in float32 and bfloat16."""
    rows, tiny = [], device == "cpu"
    for model, frames in MODELS.items():
        for dtype in DTYPES[:1] if tiny else DTYPES:
            adapter = load(model, "cpu", dtype)
            media = (
                random_upload(min(frames, 4), (64, 64))
                if tiny
                else random_upload(frames, (384, 384))
            )
            for method in methods_for(media.kind):
                row = {"model": model, "dtype": dtype, "method": method.name}
                rows.append(row | compare(adapter, media, method, device))
    return {"rows": rows, "all_equal": all(row.get("equal", True) for row in rows)}


def methods_for(kind: str) -> Iterator[CompressionMethod]:
    """Every method that takes such an upload, at one ratio."""
    for method in METHODS:
        if kind in method.media:
            has_ratio = hasattr(create(method.name), "retention_ratio")
            yield create(method.name, **({"retention_ratio": RATIO} if has_ratio else {}))


def compare(adapter: Adapter, media: Any, method: CompressionMethod, device: str) -> dict[str, Any]:
    """How a method's maps on the device differ from those on the CPU, and from run to run."""
    recorder: Any = Recorder(method)
    lane = Lane(adapter, media, QUESTION, recorder, CENTRE)
    try:
        for step in (lane.read, lane.encode, lane.compress, lane.prefill):
            step()
        anchors, weights, repeats = 0, 0.0, True
        with torch.inference_mode():
            for verb, signals, keep in recorder.calls:
                run, there = getattr(method, verb), to_device(signals, device)
                here, first, second = run(signals, keep), run(there, keep), run(there, keep)
                repeats = repeats and differences(first, second) == (0, 0.0)
                apart = differences(here, first)
                anchors, weights = anchors + apart[0], max(weights, apart[1])
    except UnsupportedError as error:
        return {"refused": str(error)}
    except Exception as error:  # any: the other methods are compared
        return {"equal": False, "failed": f"{type(error).__name__}: {error}"[:200]}
    return {
        "equal": anchors == 0 and weights < TOLERANCE and repeats,
        "maps": len(recorder.calls),
        "anchors_differ": anchors,
        "weights_differ": weights,
        "repeats_itself": repeats,
    }


def differences(one: TokenMap, other: TokenMap) -> tuple[int, float]:
    """The number of anchors that only one of two maps has, and the largest weight difference."""
    apart = set(one.anchors.tolist()) ^ set(other.anchors.tolist())
    if len(one) != len(other):
        return max(len(apart), 1), float("inf")
    matrices = [each.matrix().cpu().to_dense() for each in (one, other)]
    return len(apart), float((matrices[0] - matrices[1]).abs().max()) if len(one) else 0.0


class Outcomes:
    """A plug-in of pytest that counts outcomes, and starts no test after a time."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds
        self.passed, self.failures, self.chosen, self.reason = 0, [], 0, ""

    def pytest_collection_finish(self, session: Any) -> None:
        self.chosen = len(session.items)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.passed += report.when == "call" and report.passed
        if report.failed:
            self.failures.append(report.nodeid)
            self.reason = self.reason or str(report.longrepr)[-300:]

    def pytest_runtest_setup(self, item: Any) -> None:
        if time.perf_counter() > self.end:
            item.session.shouldstop = "no time is left"


def marked_tests(seconds: float) -> dict[str, Any]:
    """The tests that need CUDA: vanilla is `generate`, and the laws, on the device."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # other plug-ins of that machine
    import pytest

    outcomes = Outcomes(seconds - RESERVE)
    options = ["-m", "gpu", "--rootdir", str(ROOT), "-p", "no:cacheprovider", str(ROOT / TESTS)]
    status = pytest.main(options, plugins=[outcomes])
    names = [name.rpartition("::")[2] for name in outcomes.failures]
    result = {"passed": outcomes.passed, "chosen": outcomes.chosen, "exit_status": int(status)}
    if names:
        return result | {"failed": f"{len(names)} tests, such as {names[:5]}: {outcomes.reason}"}
    return result
