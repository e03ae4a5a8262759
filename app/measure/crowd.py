"""Many visitors at once on this machine: does each get its own answer, and does the server hold?

Each visitor asks what was asked alone before, again and again until the time is over: every other
one is a program, every other a page that is loaded anew each time. One that is refused comes again
when it was told to. Nothing leaves the loopback.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file

from app.example_uploads import examples_of
from app.measure.tab import Tab, spaced
from app.settings import EXAMPLES, Settings

PROCESSES = 5  # that the visitors live in
METHODS = ["visionzip"]  # beside vanilla
TOLD = re.compile(r"again in about (\d+) s")

WARM = 60  # seconds that visitors come before memory is looked at: fonts, buffers, first sessions
FLAT = 0.05  # of the memory: what Gradio and the allocators keep of freed memory comes and goes

Question = tuple[str, str]  # file and question
Ask = Callable[[Question], list[str]]  # the answers of the lanes, their words a space apart


@dataclass
class Visit:
    """One visitor's answers."""

    waits: list[float] = field(default_factory=list)  # seconds from asking first to the answer
    refusals: int = 0
    wrong: list[str] = field(default_factory=list)  # what came in place of the own answer


def load(visitors: int, seconds: float, settings: Settings) -> dict[str, Any]:
    """Serve the page, send the visitors, and report what they and the server went through."""
    with served() as (address, metrics, server):
        questions = list(asked(visitors))
        ask = program(address)
        known = {question: ask(question) for question in dict.fromkeys(questions)}
        asked_alone = [(question, known[question]) for question in questions]
        gauge = Gauge(server.pid, metrics)
        with gauge, multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            shares = [
                (address, WARM + seconds, asked_alone[process::PROCESSES])
                for process in range(PROCESSES)
            ]
            visits = [visit for share in pool.starmap(crowd, shares) for visit in share]
    return report(visits, gauge, settings) | {"visitors": visitors, "seconds": seconds}


def asked(visitors: int) -> Iterator[Question]:
    """A question for each visitor: those of the examples, over and over."""
    known = [
        (one["file"], question["question"])
        for one in examples_of("image")
        for question in one["questions"]
    ]
    return (known[number % len(known)] for number in range(visitors))


def program(address: str) -> Ask:
    """A program on `/compare`, which waits as long as its place in the queue takes."""
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 600})

    def ask(question: Question) -> list[str]:
        upload = handle_file(EXAMPLES / question[0])
        said = client.predict(upload, question[1], methods=METHODS, api_name="/compare")
        return [spaced(lane["answer"]) for lane in said["lanes"]]

    return ask


def page(address: str) -> Ask:
    """A page on its own Compare, each time in a new session."""

    def ask(question: Question) -> list[str]:
        with closing(Tab(address)) as tab:
            return tab.compare(EXAMPLES / question[0], question[1], METHODS)

    return ask


WAYS = (program, page)


def crowd(address: str, seconds: float, known: Sequence[tuple[Question, list[str]]]) -> list[Visit]:
    """The visitors of one process, a thread each."""

    def begin(number: int) -> Visit:
        return visit(WAYS[number % len(WAYS)](address), seconds, *known[number])

    with ThreadPoolExecutor(max(len(known), 1)) as threads:
        return list(threads.map(begin, range(len(known))))


def visit(ask: Ask, seconds: float, question: Question, alone: list[str]) -> Visit:
    """Ask the same question until the time is over."""
    made, deadline = Visit(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        start = time.monotonic()
        said = persistent(ask, question, made)
        if said == alone:
            made.waits.append(time.monotonic() - start)
        else:
            made.wrong.append(f"{question[1]} {said}, wanted {alone}")
    return made


def persistent(ask: Ask, question: Question, made: Visit) -> list[str] | str:
    """The answers, however often the visitor is sent away; or what went wrong."""
    while True:
        try:
            return ask(question)
        except Exception as error:  # whatever it is, it counts
            if (told := TOLD.search(str(error))) is None:
                return f"{type(error).__name__}: {error}"
            made.refusals += 1
            time.sleep(int(told[1]))


class Gauge:
    """The server's memory and its queue, once a second."""

    def __init__(self, pid: int, metrics: str) -> None:
        self.pid, self.metrics = pid, metrics
        self.megabytes: list[float] = []
        self.queue: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._over.wait(1):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            text = urllib.request.urlopen(self.metrics, timeout=10).read().decode()
            (length,) = re.findall(r"^tokenscope_queue_length (\S+)", text, re.MULTILINE)
            self.queue.append(float(length))


def report(visits: Sequence[Visit], gauge: Gauge, settings: Settings) -> dict[str, Any]:
    waits = sorted(wait for visit in visits for wait in visit.waits)
    memory = gauge.megabytes[WARM:] or gauge.megabytes
    minutes = [memory[start : start + 60] for start in range(0, len(memory), 60)]
    return {
        "answers": len(waits),
        "wrong": [wrong for visit in visits for wrong in visit.wrong],
        "without_answer": sum(not visit.waits for visit in visits),
        "refusals": sum(visit.refusals for visit in visits),
        "wait_p50": statistics.median(waits) if waits else 0,
        "wait_p95": waits[int(0.95 * (len(waits) - 1))] if waits else 0,
        "queue_longest": max(gauge.queue),
        "queue_size": settings.queue_size,
        "minutes_mb": [statistics.median(minute) for minute in minutes],
        "last_minute_mb": statistics.median(memory[-60:]),
        "peak_mb": max(gauge.megabytes),
        "cores": os.cpu_count(),
    }


def complaints(report: dict[str, Any]) -> list[str]:
    """What a server that holds would not have let happen, a sentence each."""
    first, last = report["minutes_mb"][0], report["last_minute_mb"]
    wrong, alone = len(report["wrong"]), report["without_answer"]
    longest, most = report["queue_longest"], report["queue_size"]
    found = [
        (wrong > 0, f"{wrong} answers were wrong or lost."),
        (alone > 0, f"{alone} visitors had no answer."),
        (longest > most, f"The queue was {longest:.0f} long, wanted {most} at most."),
        (
            last > first * (1 + FLAT),
            f"The memory grew from {first:.0f} to {last:.0f} MB, wanted {FLAT:.0%} more at most.",
        ),
    ]
    return [sentence for true, sentence in found if true]


@contextmanager
def served() -> Iterator[tuple[str, str, subprocess.Popen]]:
    """The page in a process of its own: its address, that of its metrics, and the process."""
    port, metrics = free_port(), free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--port", f"{port}"],
        env=os.environ
        | {
            "TOKENSCOPE_METRICS_PORT": f"{metrics}",
            "TOKENSCOPE_MAX_REQUESTS_PER_MINUTE": "0",  # they share one address
            "TOKENSCOPE_ADDRESS_JOBS": "0",
            "TOKENSCOPE_MAX_HELD_MB": "20",  # full within the first minute, and then flat
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        wait_for(address)
        yield address, f"http://127.0.0.1:{metrics}/metrics", server
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The page did not answer within {seconds:.0f} s.")


def table(report: dict[str, Any]) -> str:
    """The report as fixed-width text."""
    minutes = ", ".join(f"{megabytes:.0f}" for megabytes in report["minutes_mb"])
    return "\n".join(
        [
            f"visitors            {report['visitors']}, for {report['seconds']:.0f} s "
            f"after {WARM} s of warming up",
            f"answers             {report['answers']}; wrong or lost {len(report['wrong'])}; "
            f"visitors without one {report['without_answer']}",
            f"wait, p50 and p95   {report['wait_p50']:.1f} s, {report['wait_p95']:.1f} s, "
            f"after {report['refusals']} times being sent away",
            f"queue, longest      {report['queue_longest']:.0f} of {report['queue_size']}",
            f"server's memory     {minutes} MB, minute by minute since, "
            f"{report['last_minute_mb']:.0f} MB in the last, peak {report['peak_mb']:.0f} MB",
            f"cores               {report['cores']}",
            *(f"wrong or lost       {wrong}" for wrong in report["wrong"]),
        ]
    )
