"""Metrics and log lines of jobs; neither quotes a visitor."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import urllib.request

import pytest

from app.logs import JsonFormatter
from app.page import admission
from app.page.admission import describe_error, read_as
from app.request import Request
from app.settings import Settings
from app.worker.job_queue import QueuedWorker, RefusedError
from app.worker.metrics import Metrics
from app.worker.monitoring import MonitoredWorker
from app.worker.protocol import Job
from pruning.methods import create
from tests.app.fake_worker import FakeWorker
from tests.tiny import picture

SECRET = "What is on the letter to my doctor?"


def job(*names):
    methods = tuple(create(name) for name in names or ("vanilla", "visionzip"))
    return Job("a", picture(), SECRET, methods)


def monitored(worker, **settings):
    return MonitoredWorker(QueuedWorker(worker, Settings(**settings)), Metrics())


def count(worker, name, **labels):
    return worker.metrics.registry.get_sample_value(name, labels) or 0


@pytest.fixture
def log():
    """Returns the lines of the log as dictionaries."""
    text, logger = io.StringIO(), logging.getLogger("app")
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in text.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_lanes_and_phases_are_counted_as_they_end():
    worker = monitored(FakeWorker(failing=("visionzip",)))
    for _ in range(2):
        list(worker.run(job()))
    assert count(worker, "tokenscope_lanes_total", method="vanilla", outcome="answered") == 2
    assert count(worker, "tokenscope_lanes_total", method="visionzip", outcome="failed") == 2
    assert count(worker, "tokenscope_phase_seconds_count", phase="prefill") == 2
    assert count(worker, "tokenscope_jobs_total", outcome="done") == 2
    assert count(worker, "tokenscope_wait_seconds_count") == 2


def test_composed_methods_share_one_label():
    worker = monitored(FakeWorker())
    list(worker.run(job("vanilla", "visionzip.before+fastv.inner")))
    assert count(worker, "tokenscope_lanes_total", method="composed", outcome="answered") == 1


def test_the_outcome_of_a_job_is_counted():
    class BrokenWorker(FakeWorker):
        def run(self, job, cancelled=None):
            raise RuntimeError
            yield

    full = monitored(FakeWorker(), queue_size=1)
    with full.admit("another"), pytest.raises(RefusedError):
        list(full.run(job()))
    with pytest.raises(RuntimeError):
        list((broken := monitored(BrokenWorker())).run(job()))
    stream = (closed := monitored(FakeWorker())).run(job())
    next(stream)
    stream.close()
    assert count(full, "tokenscope_jobs_total", outcome="refused") == 1
    assert count(broken, "tokenscope_jobs_total", outcome="failed") == 1
    assert count(closed, "tokenscope_jobs_total", outcome="stopped") == 1


def test_the_queue_is_measured_at_each_scrape():
    worker = monitored(FakeWorker())
    first, second = worker.run(job()), worker.run(job())
    next(first), next(second)
    assert count(worker, "tokenscope_queue_length") == 1
    first.close(), second.close()
    assert count(worker, "tokenscope_queue_length") == 0
    assert count(worker, "tokenscope_worker_fit") == 1


def test_metrics_are_served_to_this_machine_only():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    worker = monitored(FakeWorker())
    worker.metrics.serve(port)
    list(worker.run(job()))
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read().decode()
    assert 'tokenscope_lanes_total{method="vanilla",outcome="answered"} 1.0' in page
    assert "doctor" not in page
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.2:{port}/metrics", timeout=5)


def test_every_log_line_of_a_job_has_its_number_and_not_its_question(log):
    asked = job()
    list(monitored(FakeWorker()).run(asked))
    came, ended = log()
    assert came["job"] == ended["job"] == asked.number
    assert came["lanes"] == ["vanilla", "visionzip"] and ended["outcome"] == "done"
    assert "doctor" not in json.dumps([came, ended])


def test_a_refusal_and_a_failed_reading_have_the_number_too(log, monkeypatch):
    worker = monitored(FakeWorker(), queue_size=1)
    with worker.admit("another"), pytest.raises(RefusedError), worker.admit("one", "", "3f2a"):
        pass

    def reading(request, settings, cancelled, ratios):
        logging.getLogger("app.reading.reader").error("reading failed")
        return job()

    monkeypatch.setattr(admission, "read_job", reading)
    asked = Request(upload="a.png", question="Where?")
    read = read_as("one", "3f2b", asked, Settings(), threading.Event())
    assert read.number == "3f2b" and read.visitor == "one"
    said = describe_error(RuntimeError(SECRET), "3f2c")
    logging.getLogger("app").info("later")
    refused, failed, broke, later = log()
    assert refused["message"] == "job refused" and refused["job"] == "3f2a"
    assert failed["message"] == "reading failed" and failed["job"] == "3f2b"
    assert broke["message"] == "comparison failed" and broke["job"] == "3f2c"
    assert said.endswith("The log has the rest under 3f2c.") and "job" not in later


def test_an_error_is_logged_by_its_type_and_places_without_its_message(log):
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        logging.getLogger("app.worker").exception("lane failed", extra={"job": "1"})
    (line,) = log()
    assert line["error"] == "RuntimeError" and line["job"] == "1"
    assert line["places"][0].startswith("test_metrics.py:")
    assert "doctor" not in json.dumps(line)
