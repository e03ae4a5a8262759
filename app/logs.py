"""The log: one JSON object a line, and nothing that a visitor sent."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

JOB: ContextVar[str] = ContextVar("JOB", default="")  # that this thread is at, by its number
PACKAGES = ("app", "models", "pruning")
OTHERS = ("uvicorn", "uvicorn.access", "transformers", "ray", "ray.serve")  # with own handlers
PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message and whatever the caller gave as `extra`.

    Of an error it writes the type and the places, not the message: that may quote a question. What
    another package says beside an error may quote it as well.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if number := JOB.get():
            line["job"] = number
        line |= {name: value for name, value in record.__dict__.items() if name not in PLAIN}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__name__
            line["places"] = places(record.exc_info[1])
            if record.name.partition(".")[0] not in PACKAGES:
                line["message"] = "an error in another package"
        return json.dumps(line, default=str)


@contextmanager
def at_job(number: str) -> Iterator[None]:
    """Whatever is logged within, by this thread, bears the number."""
    before = JOB.set(number)
    try:
        yield
    finally:
        JOB.reset(before)


def places(error: BaseException) -> list[str]:
    """Where it was raised, innermost last."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def log_as_json() -> None:
    """From now on everything logs so, to standard error: our own packages all, others warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    for package in (*PACKAGES, *OTHERS):
        logger = logging.getLogger(package)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
