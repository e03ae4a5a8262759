"""Compares settings for OpenMP's waiting threads: `python -m app.measure.openmp`.

Times four lanes of the embedded picture model per policy: first on the machine as it is, then
beside one busy loop per core. Each policy has one process, and the processes take turns, so other
work on the machine affects all policies. Compare seconds of one run only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app.render.table import text_table

POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "both, as set here": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
LOADS = ("as it is", "busy")
ROUNDS, SECONDS = 7, 60.0  # of each load at most; at least two rounds
Report = dict[str, dict[str, list[float]]]  # load -> policy -> seconds of four lanes


def main() -> None:
    """Measures every policy under every load; prints a table, then one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m app.measure.openmp", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each load")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer_requests()
        return
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before the run")
    report = measure(options.seconds)
    print(table(report))
    print(json.dumps(report))


def answer_requests() -> None:
    """In a policy's process: runs four lanes for each line of input, and prints the seconds."""
    from app.measure.uploads import QUESTION, random_upload
    from models.engine.pipeline import run_lane
    from models.loading import load
    from pruning.methods import create

    adapter, media = load("embedded-image", "cpu"), random_upload(0, (384, 384))
    methods = [create(name) for name in ("vanilla", "visionzip", "nuwa", "pooling")]
    for _ in sys.stdin:
        start = time.perf_counter()
        lanes = [
            run_lane(adapter, media, QUESTION, method, max_new_tokens=12, stops=False)
            for method in methods
        ]
        while lanes:  # in turn, as the page runs them
            lanes = [lane for lane in lanes if next(lane, None) is not None]
        print(time.perf_counter() - start, flush=True)


def measure(limit: float) -> Report:
    """Rounds of all policies in turn, for at most `limit` seconds under each load."""
    report: Report = {load: {policy: [] for policy in POLICIES} for load in LOADS}
    with ExitStack() as stack:
        processes = {policy: stack.enter_context(started(policy)) for policy in POLICIES}
        for process in processes.values():  # one run to warm up
            seconds_of(process)
        for load, policies in report.items():
            start = time.perf_counter()
            with busy_loops((os.cpu_count() or 1) if load == "busy" else 0):
                for number in range(ROUNDS):
                    spent = time.perf_counter() - start
                    if number > 1 and spent * (number + 1) / number > limit:
                        break
                    for policy, process in processes.items():
                        policies[policy].append(seconds_of(process))
    return report


@contextmanager
def started(policy: str) -> Iterator[subprocess.Popen[str]]:
    """The process of a policy: OpenMP reads its environment once."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.measure.openmp", "--answer"],
        env={**environment, **POLICIES[policy]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def seconds_of(process: subprocess.Popen[str]) -> float:
    """Seconds of four lanes in a process."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """`count` processes that only occupy a core each."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def table(report: Report) -> str:
    """By policy and load: median, slowest, and the default's median divided by the policy's."""
    parts = ("median s", "slowest s", "default ÷")
    head = ("four lanes", *(f"{load}: {part}" for load in report for part in parts))
    rows = []
    for policy in POLICIES:
        cells = []
        for policies in report.values():
            seconds, default = policies[policy], statistics.median(policies["default"])
            median = statistics.median(seconds)
            cells += [f"{median:.2f}", f"{max(seconds):.2f}", f"{default / median:.2f}×"]
        rows.append((policy, *cells))
    rounds = ", ".join(f"{len(policies['default'])} {load}" for load, policies in report.items())
    return f"{text_table(head, rows, numbers=True)}\nRounds: {rounds}."


if __name__ == "__main__":
    main()
