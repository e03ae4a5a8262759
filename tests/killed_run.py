"""A run that is killed twice, against one that is not: `python -m tests.killed_run --count 300`.

Prints one JSON line: whether all results are the same, and the time of a case.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from app.cases.store import Run
from app.settings import ROOT
from app.worker.conditions import processor

LANES = ["--methods", "visionzip,nuwa,pooling", "--retention", "0.222"]  # beside vanilla
OF_THIS_RUN = ("session", "ttft_ms", "total_ms")  # figures that no two runs share


def command(source: str, out: Path) -> list[str]:
    return [sys.executable, "-m", "app", "cases", "run", source, *LANES, "--out", str(out)]


def killed(source: str, out: Path, after: Iterable[int]) -> Run:
    """Run a set to its end; on the way, kill -9 the process once each of these counts is stored.

    Raises `AssertionError` with what the process said if it ends by itself before.
    """
    for count in after:
        with (out.parent / "said").open("w+") as said:
            child = subprocess.Popen(command(source, out), cwd=ROOT, stdout=said, stderr=said)
            while stored(out) < count:
                code, told = child.poll(), (out.parent / "said").read_text()[-500:]
                assert code is None, f"ended with {code} at {stored(out)} of {count}: {told}"
                time.sleep(0.1)
            os.kill(child.pid, signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
    subprocess.run(command(source, out), cwd=ROOT, check=True, capture_output=True)
    return Run(out)


def stored(out: Path) -> int:
    """Cases on the disk."""
    journal = out / "journal.jsonl"
    lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
    return lines + sum(len(set(_cases(path))) for path in (out / "results").glob("*.parquet"))


def _cases(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_table(path, columns=["case"]).column("case").to_pylist())


def same(one: Run, other: Run) -> bool:
    """Whether two runs have the same figures and the same fates of all tokens."""
    figures = [name for name in one.results if name not in OF_THIS_RUN]
    order = ["case", "lane"]
    left, right = (
        run.results[figures].sort_values(order, ignore_index=True) for run in (one, other)
    )
    arrays = all(
        [row["arrays"] for row in one.rows(case)] == [row["arrays"] for row in other.rows(case)]
        for case in one.cases
    )
    return left.equals(right) and arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    count = parser.parse_args().count
    source = f"drawn:image:{count}:7"
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        whole = killed(source, Path(folder, "whole"), ())
        seconds = time.perf_counter() - began
        stopped = killed(source, Path(folder, "stopped"), (count // 3, 2 * count // 3))
        report = {
            "cases": len(stopped.cases),
            "lanes": len(stopped.lanes),
            "processes": len(stopped.about["sessions"]),
            "same": same(whole, stopped),
            "seconds_a_case": round(seconds / count, 3),
            "lane_ms": float(whole.results.total_ms.median()),
            "machine": processor(),
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
