"""The log: one JSON object a line, without anything that a visitor sent."""

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

JOB: ContextVar[str] = ContextVar("JOB", default="")  # number of the job of this thread
PACKAGES = ("app", "models", "pruning")
OTHERS = ("uvicorn", "uvicorn.access", "transformers", "ray", "ray.serve")  # with own handlers
PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats time, level, logger, message and `extra`.

    Of an error it writes type and places, not the message, which may quote a question. Messages of
    other packages about an error are replaced for the same reason.
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
    """Add the job number to every line that this thread logs."""
    before = JOB.set(number)
    try:
        yield
    finally:
        JOB.reset(before)


def places(error: BaseException) -> list[str]:
    """The lines that raised it, innermost last."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def log_as_json() -> None:
    """Log to standard error as JSON: own packages from INFO on, other packages from WARNING on."""
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
