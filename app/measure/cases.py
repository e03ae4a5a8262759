"""Size of a run's store, and times to open, filter and page it, on synthetic cases.

Times are processor time, which other programs of the machine do not change. Pages are asked of a
server by HTTP, as a browser asks for them; the browser's own time to show them is not in it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from app.cases.filters import Filter, Table
from app.cases.lanes import Row, row_of
from app.cases.people import VERDICTS, People
from app.cases.rates import summarize
from app.cases.record import Case, CaseSet, case_id
from app.cases.results import Results, write_rows
from app.cases.store import Run, begin
from app.example_uploads import examples_of, file_digest
from app.measure.server import serve_page, used_by
from app.measure.tab import Tab
from app.settings import EXAMPLES
from app.worker.conditions import load_text, processor
from models.engine.record import LaneResult, Phase, Timeline
from pruning.base import PositionStrategy
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

SIDE, LAYERS, KEPT = 24, 32, 64  # tokens and layers of LLaVA-1.5 7B, at 11.1 %
LANES = ("vanilla", "selection@0.111", "merging@0.111", "weighted@0.111")
PAGES = 8  # and cases, asked for one after the other
REMARKS = 200
IDLE = 0.1  # seconds of processor time in a second
QUERY = Filter(right=("vanilla",), wrong=("merging@0.111",), sort="iou_drop", lane="merging@0.111")


def measure_store(folder: Path, count: int) -> dict[str, Any]:
    """Writes `count` synthetic cases × 4 lanes of 576 tokens, and times what the page does.

    Returns sizes in bytes and times in seconds of processor time.
    """
    pictures = [(one["file"], file_digest(EXAMPLES / one["file"])) for one in examples_of("image")]
    cases = [_case(index, *pictures[index % len(pictures)]) for index in range(count)]
    rng, layout = np.random.default_rng(0), TokenLayout.regular(1, SIDE, SIDE)
    written = _timed(lambda: _write(folder, cases, rng, layout))[0]
    opening, run = _timed(lambda: Run(folder))
    tabling, table = _timed(lambda: Table(run, People(folder).all()))
    filtering, chosen = _timed(lambda: table.choose(QUERY))
    again, _ = _timed(lambda: table.choose(Filter(text="object 77", kind="colour")))
    summing, _ = _timed(lambda: summarize(table, QUERY, chosen))
    remark, _ = _timed(lambda: People(folder).judge(chosen[0], VERDICTS["1"]))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "cases": count,
        "lanes": len(LANES),
        "tokens": SIDE * SIDE,
        "machine": processor(),
        "load": load_text(),
        "bytes": size,
        "write_s": written,
        "open_s": opening + tabling,
        "filter_s": filtering,
        "chosen": len(chosen),
        "search_s": again,
        "summary_s": summing,
        "remark_s": remark,
        **_pages(folder, chosen),
    }


def _pages(folder: Path, chosen: list[str]) -> dict[str, Any]:
    """Seconds of the first page of a filter, of a next page, and of opening a case."""
    run = f"run={folder.name}&{QUERY.query}"
    with serve_page(TOKENSCOPE_CASES=str(folder.parent)) as (url, server), closing(Tab(url)) as tab:

        def ask(more: str) -> tuple[float, float]:
            """Seconds of processor time, and seconds waited."""
            before, began = used_by(server.pid), time.perf_counter()
            shown = tab.event("act", {"query": run + more})
            waited = time.perf_counter() - began
            if not any("</ol>" in str(one) for one in shown):
                raise RuntimeError(f"The page {run + more} shows no case.")
            return used_by(server.pid) - before, waited

        _wait_until_idle(server.pid)  # it loads the model at first
        first, _ = ask("")
        used, waited = zip(*(ask(f"&page={one}") for one in range(1, PAGES + 1)), strict=True)
        opened = [ask(f"&case={case}")[0] for case in chosen[:PAGES]]
    return {
        "first_page_s": first,
        "page_s": statistics.median(used),
        "page_waited_s": statistics.median(waited),
        "case_s": statistics.median(opened),
    }


def _wait_until_idle(pid: int) -> None:
    """Returns after a second in which a server used hardly any processor time."""
    before = -IDLE
    while (used := used_by(pid)) - before >= IDLE:
        before = used
        time.sleep(1)


def table_of(report: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"{report['machine']}, running or waiting processes: {report['load']}",
            f"{report['cases']:,} cases × {report['lanes']} lanes of {report['tokens']} tokens",
            f"store      {report['bytes'] / 1e6:,.0f} MB without pictures",
            f"open       {report['open_s']:.2f} s",
            f"filter     {1e3 * report['filter_s']:.0f} ms, {report['chosen']:,} cases chosen",
            f"search     {1e3 * report['search_s']:.0f} ms",
            f"summary    {1e3 * report['summary_s']:.0f} ms",
            f"verdict    {1e3 * report['remark_s']:.0f} ms",
            "by HTTP, with pictures:",
            f"first page {report['first_page_s']:.2f} s, opens the run",
            f"next page  {1e3 * report['page_s']:.0f} ms, waited for "
            f"{1e3 * report['page_waited_s']:.0f} ms",
            f"a case     {1e3 * report['case_s']:.0f} ms",
        ]
    )


def _case(index: int, picture: str, digest: str) -> Case:
    left, top = 0.1 + 0.05 * (index % 9), 0.1 + 0.05 * (index // 9 % 9)
    side = 0.1 + 0.04 * (index % 10)
    kind = ("grounding", "colour", "place")[index % 3]
    question = f"Where is object {index}?"
    return Case(
        id=case_id(digest, question),
        picture=picture,
        question=question,
        answers=("red",),
        box=(left, top, left + side, top + side),
        kind=kind,
        metric="iou" if kind == "grounding" else "exact_match",
        index=str(index),
    )


def _write(folder: Path, cases: list[Case], rng: np.random.Generator, layout: TokenLayout) -> None:
    folder.mkdir(parents=True)
    results = Results(folder)
    lanes = [{"name": name, "title": name, "knobs": {}} for name in LANES]
    options = {"max_new_tokens": 64, "temperature": 0.0, "seed": 0, "frames": 1}
    about = {"model": "embedded-image", "weights": "none", "prompt": "{}", "lanes": lanes}
    case_set = CaseSet("synthetic", EXAMPLES, folder, tuple(cases))
    begin(folder, case_set, about | {"options": options})
    for part, first in enumerate(range(0, len(cases), 200)):
        rows = [row for case in cases[first : first + 200] for row in _rows(case, rng, layout)]
        write_rows(results.folder / f"{part:05d}.parquet", rows)
    people = People(folder)
    for case in cases[:REMARKS]:
        people.note(case.id, "seen")


def _rows(case: Case, rng: np.random.Generator, layout: TokenLayout) -> Iterator[Row]:
    for lane, steps in zip(LANES, _steps(rng, len(layout)), strict=True):
        yield row_of(case, lane, _result(lane, case, layout, steps, rng), PositionStrategy.PERC)


def _steps(rng: np.random.Generator, n: int) -> list[tuple[TraceStep, ...]]:
    """Vanilla; a selection in two stages; merging with equal weights; merging with any weights."""
    anchors, every = np.sort(rng.permutation(n)[: 2 * KEPT]), np.arange(n)
    ones, half = np.ones(2 * KEPT, np.float32), np.sort(rng.permutation(2 * KEPT)[:KEPT])
    own, kept = np.arange(2 * KEPT), np.arange(KEPT)
    owner = rng.integers(KEPT, size=n)
    owner[anchors[:KEPT]] = kept
    equal = (1 / np.bincount(owner, minlength=KEPT))[owner].astype(np.float32)
    selected = (
        TraceStep(0, n, anchors, own, anchors, ones),
        TraceStep(16, 2 * KEPT, half, kept, half, ones[:KEPT]),
    )
    merged = TraceStep(0, n, anchors[:KEPT], owner, every, equal)
    weights = rng.random(n, dtype=np.float32)
    weighted = TraceStep(0, n, anchors[:KEPT], owner, every, weights)
    return [(), selected, (merged,), (weighted,)]


def _result(
    lane: str,
    case: Case,
    layout: TokenLayout,
    steps: tuple[TraceStep, ...],
    rng: np.random.Generator,
) -> LaneResult:
    seconds = rng.random(5) / 10
    names = ("read", "encode", "compress", "prefill", "decode")
    phases = tuple(Phase(*phase, 576, 64) for phase in zip(names, seconds.tolist(), strict=True))
    moved = rng.random(4) * (0.02 if lane == "vanilla" else 0.3)
    boxes = (np.array([case.box]) + moved).astype(np.float32)
    answer = str(rng.choice(["red", "blue" if lane != "vanilla" else "red"]))
    return LaneResult(
        method=lane.partition("@")[0],
        title=lane,
        knobs={},
        asked_ratio=None,
        answer=answer,
        new_tokens=3,
        boxes=boxes,
        trace=TokenTrace(layout, steps, LAYERS),
        timeline=Timeline(phases, 0.01),
        text_tokens=30,
        kv_bytes=10_000_000,
        tflops=3.2,
        peak_bytes=None,
    )


def _timed(do: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = do()
    return time.process_time() - began, result
