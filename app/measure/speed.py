"""How fast this machine is, measured the way the page measures: ratios are taken in one run.

Five questions: how long until the page answers; how long the example takes to read; how soon four
lanes speak and finish; whether our vanilla lane is slower than `generate`; whether a lane's clock
changes when three others run.
"""

from __future__ import annotations

import os
import resource
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import replace

from gradio_client import Client, handle_file

from app.example_uploads import examples_of
from app.jobs import NOUNS, first_kind, read_job
from app.request import Request
from app.settings import EXAMPLES, Settings
from app.worker.conditions import conditions
from app.worker.events import ComparisonDone, TextDelta
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models.catalog import find
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.loading import load

RETENTION = 1 / 9
FRAMES = 16  # sampled of the example clip


def speed(model: str, repeats: int, settings: Settings) -> dict:
    """Measure everything; seconds unless a key says otherwise."""
    example = _example(model)
    job = _job(example, model, settings)
    adapter = load(model, settings.device or None, settings.dtype or None)
    return {
        "model": model,
        "repeats": repeats,
        "conditions": conditions(adapter),
        "upload": {
            "frames": len(job.media.frames),
            "decoder": job.media.decoder,
            "read": job.media.read_seconds,
        },
        "page": _page(example, job),
        "four_lanes": _four_lanes(job, settings),
        "against_generate": _against_generate(adapter, job, repeats),
        "alone_and_together": _alone_and_together(job, repeats, settings),
    }


def _example(model: str) -> dict:
    """The first that the model takes."""
    kind = first_kind(find(model))
    if not (offered := examples_of(kind)):
        raise ValueError(f"There is no example {NOUNS[kind]}; draw it with `make examples`.")
    return offered[0]


def _job(example: dict, model: str, settings: Settings) -> Job:
    """What the page asks by itself, of `FRAMES` frames of a clip."""
    request = Request(
        upload=EXAMPLES / example["file"],
        question=example["questions"][0]["question"],
        model=model,
        retention_ratio=RETENTION,
        num_frames=FRAMES,
    )
    return read_job(request, replace(settings, model=model))


def _page(example: dict, job: Job) -> dict[str, float]:
    """Seconds from starting the server to its first 200; its memory after two comparisons."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    start = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--port", address.rpartition(":")[2].strip("/")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(address)
        seconds = time.perf_counter() - start
        client = Client(address, verbose=False)
        upload, asked = handle_file(EXAMPLES / example["file"]), {"num_frames": FRAMES}
        for _ in range(2):
            client.predict(upload, job.question, job.model, **asked, api_name="/compare")
    finally:
        server.terminate()
        server.wait()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": seconds, "resident_mb": peak}


def _await(address: str) -> None:
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:  # refused, reset or late
            time.sleep(0.1)
    raise RuntimeError("the page did not answer within 120 s")


def _four_lanes(job: Job, settings: Settings) -> dict[str, float]:
    """A visitor's first comparison in a fresh worker whose model is loaded, and a second one."""
    worker = LocalWorker(settings)
    list(worker.run(_only(job, 0)))
    cold, warm = _watch(worker, job), _watch(worker, job)
    return {f"{name}_cold": cold[name] for name in cold} | {
        f"{name}_warm": warm[name] for name in warm
    }


def _watch(worker: LocalWorker, job: Job) -> dict[str, float]:
    start, first_text = time.perf_counter(), None
    for event in worker.run(job):
        if isinstance(event, TextDelta) and event.text and first_text is None:
            first_text = time.perf_counter() - start
    return {"first_text": first_text or float("nan"), "all_done": time.perf_counter() - start}


def _against_generate(adapter: Adapter, job: Job, repeats: int) -> dict[str, float]:
    """Vanilla and `generate` on the same prompt in turn: medians, and ours over theirs."""
    ours, theirs = [], []
    for _ in range(repeats + 1):
        *_, lane = run_lane(adapter, job.media, job.question, job.methods[0])
        ours.append(lane.timeline.total - lane.timeline.seconds("read"))
        prompt = adapter.prepare(job.media, job.question)
        start = time.perf_counter()
        adapter.generate(prompt, max_new_tokens=lane.new_tokens)
        theirs.append(time.perf_counter() - start)
    return _ratio(ours[1:], theirs[1:], "vanilla", "generate")


def _alone_and_together(job: Job, repeats: int, settings: Settings) -> dict[str, dict[str, float]]:
    """Each lane's total, with the three others beside it over the same lane by itself."""
    worker = LocalWorker(settings)
    alone: dict[str, list[float]] = {method.name: [] for method in job.methods}
    together: dict[str, list[float]] = {method.name: [] for method in job.methods}
    for _ in range(repeats + 1):
        for lane in _lanes(worker, job):
            together[lane.method].append(lane.timeline.total - lane.timeline.seconds("read"))
        for index in range(len(job.methods)):
            (lane,) = _lanes(worker, _only(job, index))
            alone[lane.method].append(lane.timeline.total - lane.timeline.seconds("read"))
    return {
        name: _ratio(together[name][1:], alone[name][1:], "together", "alone") for name in alone
    }


def _lanes(worker: LocalWorker, job: Job) -> Sequence:
    *_, last = worker.run(job)
    assert isinstance(last, ComparisonDone)
    return last.comparison.lanes


def _only(job: Job, index: int) -> Job:
    return replace(job, methods=(job.methods[index],))


def _ratio(first: list[float], second: list[float], one: str, other: str) -> dict[str, float]:
    a, b = statistics.median(first), statistics.median(second)
    return {one: a, other: b, "ratio": a / b}


def table(report: dict) -> str:
    """The report as fixed-width text."""
    lanes, upload = report["four_lanes"], report["upload"]
    vanilla = report["against_generate"]
    lines = [
        f"page answers               {report['page']['seconds']:.1f} s",
        f"reading the example        {upload['read']:.2f} s, "
        f"{upload['frames']} frame{'s' * (upload['frames'] > 1)} by {upload['decoder']}",
        f"four lanes, first text     {lanes['first_text_cold']:.2f} s cold, "
        f"{lanes['first_text_warm']:.2f} s warm",
        f"four lanes, all done       {lanes['all_done_cold']:.2f} s cold, "
        f"{lanes['all_done_warm']:.2f} s warm",
        f"reading and four lanes     {upload['read'] + lanes['all_done_cold']:.2f} s cold",
        f"vanilla over generate      {vanilla['ratio']:.3f}  "
        f"({1e3 * vanilla['vanilla']:.0f} ms over {1e3 * vanilla['generate']:.0f} ms)",
        *(
            f"{name:<10} beside others ×{lane['ratio']:.3f} of alone "
            f"({1e3 * lane['together']:.0f} ms over {1e3 * lane['alone']:.0f} ms)"
            for name, lane in report["alone_and_together"].items()
        ),
        f"page's memory, peak        {report['page']['resident_mb']:.0f} MB",
        f"cores                      {os.cpu_count()}, medians of {report['repeats']}",
    ]
    return "\n".join(lines)
