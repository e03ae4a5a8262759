"""Load test: many visitors on one page; compares answers, waits, memory and queue.

Each visitor repeats one question until the time is over and compares the answer with that of a run
without other visitors. Half of the visitors are programs, half are pages, loaded for each question.
A refused visitor retries after the suggested time. All traffic stays on the loopback.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file

from app.example_uploads import examples_of
from app.measure.server import free_port, serve_page
from app.measure.tab import Tab, normalize_space
from app.settings import EXAMPLES, Settings

PROCESSES = 5  # of visitors
METHODS = ["visionzip"]  # beside vanilla
RETRY = re.compile(r"again in about (\d+) s")

WARM = 60  # seconds before memory counts: fonts, buffers and first sessions fill it
FLAT = 0.05  # accepted growth: freed memory that Gradio and the allocators hold varies

Question = tuple[str, str]  # file and question
Ask = Callable[[Question], list[str]]  # gives the answers of the lanes, one space between words


@dataclass
class Visit:
    """The answers of one visitor."""

    waits: list[float] = field(default_factory=list)  # seconds from the question to the answer
    refusals: int = 0
    wrong: list[str] = field(default_factory=list)  # wrong answers and errors


def load(visitors: int, seconds: float, settings: Settings) -> dict[str, Any]:
    """Serves the page, runs the visitors, and reports on visitors and server."""
    metrics = free_port()
    environment = {
        "TOKENSCOPE_METRICS_PORT": f"{metrics}",
        "TOKENSCOPE_MAX_REQUESTS_PER_MINUTE": "0",  # all visitors have one address
        "TOKENSCOPE_ADDRESS_JOBS": "0",
        "TOKENSCOPE_MAX_HELD_MB": "20",  # reached within the first minute, then flat
    }
    with serve_page(**environment) as (address, server):
        questions = list(islice(cycle(_questions()), visitors))
        ask = program(address)
        alone = {question: ask(question) for question in dict.fromkeys(questions)}
        expected = [(question, alone[question]) for question in questions]
        gauge = Gauge(server.pid, f"http://127.0.0.1:{metrics}/metrics")
        with gauge, multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            shares = [
                (address, WARM + seconds, expected[process::PROCESSES])
                for process in range(PROCESSES)
            ]
            visits = [visit for share in pool.starmap(crowd, shares) for visit in share]
    return report(visits, gauge, settings) | {"visitors": visitors, "seconds": seconds}


def _questions() -> list[Question]:
    return [
        (example["file"], question["question"])
        for example in examples_of("image")
        for question in example["questions"]
    ]


def program(address: str) -> Ask:
    """A client of `/compare`; it waits in the queue as long as needed."""
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 600})

    def ask(question: Question) -> list[str]:
        upload = handle_file(EXAMPLES / question[0])
        result = client.predict(upload, question[1], methods=METHODS, api_name="/compare")
        return [normalize_space(lane["answer"]) for lane in result["lanes"]]

    return ask


def page(address: str) -> Ask:
    """A page that is loaded for each question, so each has a new session."""

    def ask(question: Question) -> list[str]:
        with closing(Tab(address)) as tab:
            return tab.compare(EXAMPLES / question[0], question[1], METHODS)

    return ask


CLIENTS = (program, page)


def crowd(
    address: str, seconds: float, expected: Sequence[tuple[Question, list[str]]]
) -> list[Visit]:
    """The visitors of one process, one thread each."""

    def begin(number: int) -> Visit:
        return visit(CLIENTS[number % len(CLIENTS)](address), seconds, *expected[number])

    with ThreadPoolExecutor(max(len(expected), 1)) as threads:
        return list(threads.map(begin, range(len(expected))))


def visit(ask: Ask, seconds: float, question: Question, alone: list[str]) -> Visit:
    """Asks one question until the time is over."""
    result, deadline = Visit(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        start = time.monotonic()
        answers = ask_with_retries(ask, question, result)
        if answers == alone:
            result.waits.append(time.monotonic() - start)
        else:
            result.wrong.append(f"{question[1]} {answers}, wanted {alone}")
    return result


def ask_with_retries(ask: Ask, question: Question, visit: Visit) -> list[str] | str:
    """The answers, after any number of refusals, or the error."""
    while True:
        try:
            return ask(question)
        except Exception as error:  # every error counts as a lost answer
            if (retry := RETRY.search(str(error))) is None:
                return f"{type(error).__name__}: {error}"
            visit.refusals += 1
            time.sleep(int(retry[1]))


class Gauge:
    """Samples the memory and the queue of the server once a second."""

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
    """One sentence for each failure of the server."""
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


def table(report: dict[str, Any]) -> str:
    """The report as fixed-width text."""
    minutes = ", ".join(f"{megabytes:.0f}" for megabytes in report["minutes_mb"])
    return "\n".join(
        [
            f"visitors            {report['visitors']}, for {report['seconds']:.0f} s "
            f"after {WARM} s of warm-up",
            f"answers             {report['answers']}; wrong or lost {len(report['wrong'])}; "
            f"visitors without one {report['without_answer']}",
            f"wait, p50 and p95   {report['wait_p50']:.1f} s, {report['wait_p95']:.1f} s, "
            f"after {report['refusals']} refusals",
            f"queue, longest      {report['queue_longest']:.0f} of {report['queue_size']}",
            f"server's memory     {minutes} MB, minute by minute since, "
            f"{report['last_minute_mb']:.0f} MB in the last, peak {report['peak_mb']:.0f} MB",
            f"cores               {report['cores']}",
            *(f"wrong or lost       {wrong}" for wrong in report["wrong"]),
        ]
    )
