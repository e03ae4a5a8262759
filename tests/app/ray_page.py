"""A page on Ray in a separate process, which joins one cluster and has its own log.

Run as a program, it joins the cluster of RAY_ADDRESS and prints its results as JSON.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

from app.example_uploads import examples
from app.jobs import read_job
from app.request import Request
from app.settings import EXAMPLES, Settings
from app.worker.events import TextDelta
from app.worker.protocol import Job

SECRET = "What is on the letter to my doctor?"


@lru_cache(maxsize=1)
def asked() -> Job:
    example = examples()[0]
    question = example["questions"][0]["question"]
    methods = ["visionzip", "nuwa"]
    return read_job(
        Request(
            upload=EXAMPLES / example["file"],
            question=question,
            model="embedded-image",
            methods=methods,
            retention_ratio=1 / 3,
        )
    )


class BrokenMethod:
    """Raises an error with a visitor's text, outside of any lane."""

    @property
    def name(self) -> str:
        raise RuntimeError(SECRET)


def broken() -> Job:
    return replace(asked(), methods=(BrokenMethod(),))


def main() -> None:
    import ray

    from app.worker import ray_serve

    worker = ray_serve.start(Settings(device="cpu"))
    stopped = worker.run(replace(asked(), max_new_tokens=100_000))
    while not isinstance(next(stopped), TextDelta):
        pass
    stopped.close()
    failed = broken()
    try:
        list(worker.run(failed))
    except RuntimeError as error:
        told = str(error)
    *_, last = worker.run(asked())
    saw = {
        "answers": [lane.answer for lane in last.comparison.lanes],
        "joined": ray.get_runtime_context().gcs_address,
        "failed": failed.number,
        "told": told,
    }
    print(json.dumps(saw))


if __name__ == "__main__":
    main()
