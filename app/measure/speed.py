"""Speed of the page on this machine; every ratio compares times of one run.

Measures the start of the page, the reading of an example, first text and end of four lanes, the
vanilla lane beside `generate`, and each lane among three others beside the same lane alone.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from gradio_client import Client, handle_file

from app.example_uploads import examples_of
from app.jobs import NOUNS, first_kind, read_job
from app.measure.server import serve_page
from app.measure.tab import Tab
from app.request import Request
from app.settings import EXAMPLES, Settings
from app.worker.conditions import conditions
from app.worker.events import ComparisonDone, TextDelta
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models.catalog import find
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load

RETENTION = 1 / 9
FRAMES = 16  # sampled of the example clip


def speed(model: str, repeats: int, settings: Settings) -> dict:
    """Measures everything; in seconds unless a key has another unit."""
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
    """The first example that the model takes."""
    kind = first_kind(find(model))
    if not (offered := examples_of(kind)):
        raise ValueError(f"There is no example {NOUNS[kind]}; draw it with `make examples`.")
    return offered[0]


def example_job(model: str, settings: Settings) -> Job:
    """The page's default comparison of the first example."""
    return _job(_example(model), model, settings)


def _job(example: dict, model: str, settings: Settings) -> Job:
    """The page's default comparison, with `FRAMES` frames of a clip."""
    request = Request(
        upload=EXAMPLES / example["file"],
        question=example["questions"][0]["question"],
        model=model,
        retention_ratio=RETENTION,
        num_frames=FRAMES,
    )
    return read_job(request, replace(settings, model=model))


def _page(example: dict, job: Job) -> dict[str, float]:
    """Seconds from the start of the server to its first 200; its memory after two comparisons;
    for a picture, what a third one sends to a page."""
    start = time.perf_counter()
    with serve_page() as (address, _):
        seconds = time.perf_counter() - start
        client = Client(address, verbose=False)
        upload, frames = handle_file(EXAMPLES / example["file"]), {"num_frames": FRAMES}
        for _ in range(2):
            client.predict(upload, job.question, job.model, **frames, api_name="/compare")
        sent = _bytes_sent(address, example, job) if job.media.kind == "image" else 0
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": seconds, "resident_mb": peak, "comparison_kb": sent / 1000}


def _bytes_sent(address: str, example: dict, job: Job) -> int:
    """Bytes that a page receives for a comparison of pictures."""
    with closing(Tab(address)) as tab:
        tab.compare(EXAMPLES / example["file"], job.question, [one.name for one in job.methods[1:]])
        return tab.received


def _four_lanes(job: Job, settings: Settings) -> dict[str, float]:
    """Two comparisons in a new worker that has loaded the model: a cold and a warm one."""
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
    """Medians of vanilla and `generate` on the same prompt, in turn, and their ratio."""
    ours, theirs = [], []
    for _ in range(repeats + 1):
        *_, lane = run_lane(adapter, job.media, job.question, job.methods[0])
        ours.append(without_reading(lane))
        prompt = adapter.prepare(job.media, job.question)
        start = time.perf_counter()
        adapter.generate(prompt, max_new_tokens=lane.new_tokens)
        theirs.append(time.perf_counter() - start)
    return _ratio(ours[1:], theirs[1:], "vanilla", "generate")


def _alone_and_together(job: Job, repeats: int, settings: Settings) -> dict[str, dict[str, float]]:
    """Total of each lane among the three others, over the total of the same lane alone."""
    worker = LocalWorker(settings)
    alone: dict[str, list[float]] = {method.name: [] for method in job.methods}
    together: dict[str, list[float]] = {method.name: [] for method in job.methods}
    jobs = [(job, together), *((_only(job, index), alone) for index in range(len(job.methods)))]
    for _ in range(repeats + 1):
        for asked, seconds in jobs:
            for lane in _lanes(worker, asked):
                seconds[lane.method].append(without_reading(lane))
    return {
        name: _ratio(together[name][1:], alone[name][1:], "together", "alone") for name in alone
    }


def _lanes(worker: LocalWorker, job: Job) -> Sequence:
    *_, last = worker.run(job)
    assert isinstance(last, ComparisonDone)
    return last.comparison.lanes


def without_reading(lane: LaneResult) -> float:
    return lane.timeline.total - lane.timeline.seconds("read")


def _only(job: Job, index: int) -> Job:
    return replace(job, methods=(job.methods[index],))


def _ratio(first: list[float], second: list[float], one: str, other: str) -> dict[str, float]:
    a, b = statistics.median(first), statistics.median(second)
    return {one: a, other: b, "ratio": a / b}


def table(report: dict) -> str:
    """The report as fixed-width text."""
    lanes, upload = report["four_lanes"], report["upload"]
    vanilla = report["against_generate"]
    sent = report["page"]["comparison_kb"]  # of a picture only
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
        *([f"sent for a comparison      {sent:.0f} kB"] if sent else []),
        f"cores                      {os.cpu_count()}, medians of {report['repeats']}",
    ]
    return "\n".join(lines)
