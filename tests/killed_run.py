"""A run that is killed twice, against one that is not: `python -m tests.killed_run --count 300`.

Prints whether all results are the same, and the time of a case against `bench`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from app.__main__ import main as main_of_app
from app.cases.store import Run
from app.commands.arguments import add_json, print_report
from app.docs.cases_page import killed_text
from app.settings import ROOT
from app.worker.conditions import load_text, processor

FIRST, A_SCENE = 7, 2  # number of the first scene, and questions about each
LANES = ["--methods", "visionzip,nuwa,pooling", "--retention", "0.222"]  # beside vanilla
APP = (sys.executable, "-m", "app")
OF_THIS_RUN = ("session", "ttft_ms", "total_ms")  # figures that no two runs share


def arguments(source: str, out: Path) -> list[str]:
    return ["cases", "run", source, *LANES, "--out", str(out)]


def end(arguments: list[str]) -> int:
    """Give a command in a process of its own, to its end."""
    return subprocess.run([*APP, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL).returncode


def give(arguments: list[str], said: Path) -> None:
    """Give a command in this process, which ends with it; what it says goes to a file."""
    with said.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        sys.exit(main_of_app(arguments))


def killed(
    source: str, out: Path, after: Iterable[int], end: Callable[[list[str]], int] = end
) -> Run:
    """Run a set to its end; on the way, kill -9 the process once each of these counts is stored.

    Raises `AssertionError` with what the process said if it ends by itself before.

    Args:
        end: Gives the last command, which ends the run; default: in a process of its own.
    """
    server = multiprocessing.get_context("forkserver")  # its children share what it imports
    server.set_forkserver_preload(["app.__main__", "app.cases.run", "app.worker.local"])
    said = out.parent / "said"
    for count in after:
        child = server.Process(target=give, args=(arguments(source, out), said))
        child.start()
        while stored(out) < count:
            code = child.exitcode
            if code is not None:
                told = said.read_text()[-500:]
                raise AssertionError(f"ended with {code} at {stored(out)} of {count}: {told}")
            time.sleep(0.1)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert end(arguments(source, out)) == 0
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


def bench(count: int) -> float:
    """Processor time a question of `bench`, with the same questions."""
    lanes = ["--methods", f"vanilla,{LANES[1]}", *LANES[2:]]
    scenes = ["--scenes", str(count // A_SCENE), "--seed", str(FIRST), "--jobs", "1"]
    before = processor_time()
    call = [*APP, "bench", *scenes, *lanes]
    subprocess.run(call, cwd=ROOT, check=True, capture_output=True)
    return (processor_time() - before) / count


def processor_time() -> float:
    """Seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(count: int, folder: Path) -> dict[str, Any]:
    source, after = f"drawn:image:{count}:{FIRST}", (count // 3, 2 * count // 3)
    whole = killed(source, folder / "whole", ())
    used = processor_time() / count
    stopped = killed(source, folder / "stopped", after)
    return {
        "cases": len(stopped.cases),
        "lanes": len(stopped.lanes),
        "killed_after": after,
        "processes": len(stopped.about["sessions"]),
        "same": same(whole, stopped),
        "run_cpu_s": round(used, 3),
        "bench_cpu_s": round(bench(count), 3),
        "lane_ms": round(float(whole.results.groupby("lane").total_ms.median().median()), 1),
        "machine": processor(),
        "load": load_text(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    add_json(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(options.count, Path(folder))
    print_report(report, killed_text(report), options.json)


if __name__ == "__main__":
    main()
