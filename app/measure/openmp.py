"""What OpenMP's threads should do while they wait for work: `python -m app.measure.openmp`.

Four lanes of the embedded picture model, in a process for each policy, policies in turn; once on
the machine as it is, once with a busy loop for every core. Compare seconds within one run only.
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
from contextlib import contextmanager

POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
LOADS = ("as it is", "busy")  # "busy" adds a loop for every core


def main() -> None:
    """Measure every policy on every load; a table, then one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m app.measure.openmp", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="processes for each policy and load")
    parser.add_argument("--repeats", type=int, default=3, help="comparisons of a process")
    parser.add_argument("--lanes", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lanes:
        print(json.dumps(four_lanes(options.repeats)))
        return
    report = measured(options.rounds, options.repeats)
    print(table(report))
    print(json.dumps(report))


def four_lanes(repeats: int) -> list[float]:
    """Seconds of each of some comparisons, after one that warms up."""
    from app.measure.gpu.uploads import QUESTION, upload
    from models.engine.pipeline import run_lane
    from models.loading import load
    from pruning.methods import create

    adapter, media = load("embedded-image", "cpu", None), upload(0, 384)
    methods = [create("vanilla"), *(create(name) for name in ("visionzip", "nuwa", "pooling"))]
    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        waiting = [
            run_lane(adapter, media, QUESTION, method, max_new_tokens=12, stops=False)
            for method in methods
        ]
        while waiting:  # in turn, as the page runs them
            waiting = [lane for lane in waiting if next(lane, None) is not None]
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def measured(rounds: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Load -> policy -> seconds of four lanes; policies take turns."""
    report: dict[str, dict[str, list[float]]] = {}
    for load in LOADS:
        with busy(os.cpu_count() or 1 if load == "busy" else 0):
            report[load] = {policy: [] for policy in POLICIES}
            for _ in range(rounds):
                for policy in POLICIES:
                    report[load][policy] += (seconds := in_process(policy, repeats))
                    said = ", ".join(f"{one:.2f}" for one in seconds)
                    print(f"{load}, {policy}: {said} s", file=sys.stderr, flush=True)
    return report


def in_process(policy: str, repeats: int) -> list[float]:
    """The lanes in a process of their own: OpenMP reads its environment once."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = [sys.executable, "-m", "app.measure.openmp", "--lanes", "--repeats", str(repeats)]
    done = subprocess.run(
        command,
        env={**environment, **POLICIES[policy]},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but take a core."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def table(report: dict[str, dict[str, list[float]]]) -> str:
    """Medians in seconds, the slowest, and how often the default takes a policy's median."""
    lines = [f"{'four lanes':<12}{'load':<10}{'median s':>10}{'slowest s':>11}{'default ÷':>11}"]
    for load, policies in report.items():
        default = statistics.median(policies["default"])
        for policy, seconds in policies.items():
            median = statistics.median(seconds)
            cells = f"{median:>10.2f}{max(seconds):>11.2f}{default / median:>10.2f}×"
            lines.append(f"{policy:<12}{load:<10}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
