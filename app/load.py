"""Many visitors at once on this machine: does each get its own answer, and does the server hold?

Each visitor asks what was asked alone before, again and again until the time is over. One that is
refused comes again when it was told to. Nothing leaves the loopback.
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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file

from app.request import examples_of
from app.settings import EXAMPLES, Settings

PROCESSES = 5  # that the visitors live in
METHODS = ["visionzip"]  # beside vanilla
TOLD = re.compile(r"again in about (\d+) s")

Question = tuple[str, str]  # file and question


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
        first = patient(address)
        known = {question: answers(first, question) for question in dict.fromkeys(questions)}
        alone = [known[question] for question in questions]
        gauge = Gauge(server.pid, metrics)
        with gauge, multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            shares = [
                (address, seconds, list(zip(questions, alone, strict=True))[process::PROCESSES])
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


def patient(address: str) -> Client:
    """A client that waits as long as its place in the queue takes."""
    return Client(address, verbose=False, httpx_kwargs={"timeout": 600})


def answers(client: Client, question: Question) -> list[str]:
    upload = handle_file(EXAMPLES / question[0])
    said = client.predict(upload, question[1], methods=METHODS, api_name="/compare")
    return [lane["answer"] for lane in said["lanes"]]


def crowd(address: str, seconds: float, known: Sequence[tuple[Question, list[str]]]) -> list[Visit]:
    """The visitors of one process, a thread each."""
    with ThreadPoolExecutor(len(known)) as threads:
        return list(threads.map(lambda one: visit(address, seconds, *one), known))


def visit(address: str, seconds: float, question: Question, alone: list[str]) -> Visit:
    """Ask the same question until the time is over."""
    client, made = patient(address), Visit()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        start = time.monotonic()
        said = persistent(client, question, made)
        if said == alone:
            made.waits.append(time.monotonic() - start)
        else:
            made.wrong.append(str(said))
    return made


def persistent(client: Client, question: Question, made: Visit) -> list[str] | str:
    """The answers, however often the visitor is sent away; or what went wrong."""
    while True:
        try:
            return answers(client, question)
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
    return {
        "answers": len(waits),
        "wrong": [wrong for visit in visits for wrong in visit.wrong],
        "without_answer": sum(not visit.waits for visit in visits),
        "refusals": sum(visit.refusals for visit in visits),
        "wait_p50": statistics.median(waits),
        "wait_p95": waits[int(0.95 * (len(waits) - 1))],
        "queue_longest": max(gauge.queue),
        "queue_size": settings.queue_size,
        "first_minute_mb": statistics.median(gauge.megabytes[:60]),
        "last_minute_mb": statistics.median(gauge.megabytes[-60:]),
        "peak_mb": max(gauge.megabytes),
        "cores": os.cpu_count(),
    }


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
    return "\n".join(
        [
            f"visitors            {report['visitors']}, for {report['seconds']:.0f} s",
            f"answers             {report['answers']}; wrong or lost {len(report['wrong'])}; "
            f"visitors without one {report['without_answer']}",
            f"wait, p50 and p95   {report['wait_p50']:.1f} s, {report['wait_p95']:.1f} s, "
            f"after {report['refusals']} times being sent away",
            f"queue, longest      {report['queue_longest']:.0f} of {report['queue_size']}",
            f"server's memory     {report['first_minute_mb']:.0f} MB in the first minute, "
            f"{report['last_minute_mb']:.0f} MB in the last, peak {report['peak_mb']:.0f} MB",
            f"cores               {report['cores']}",
        ]
    )
