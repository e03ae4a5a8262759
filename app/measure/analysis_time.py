"""Times vanilla with analysis off, vanilla before an analysis, and `generate`, in turns.

An analysis runs after its lane, outside of the lane's clock: the lane must take the same time. Each
round begins with another of the three, so that a drifting clock slows all of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.measure.speed import example_job, without_reading
from app.settings import Settings
from app.significance import interval
from app.worker.conditions import conditions, load_text
from app.worker.protocol import Job
from models.analysis.study import Study
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load

WARM_UP = 2  # rounds that do not count
OTHERS = {"on": "the lane before an analysis", "generate": "stock generate"}


@dataclass(frozen=True)
class Runs:
    """The three runs of a job's vanilla lane."""

    adapter: Adapter
    job: Job

    def round(self, turn: int) -> dict[str, float]:
        """Seconds by run, and of the analysis."""
        found: dict[str, float] = {}
        runs = [self.off, self.on, self.generate]
        for index in range(len(runs)):
            found |= runs[(turn + index) % len(runs)]()
        return found

    def lane(self, study: Study | None = None) -> LaneResult:
        job, most = self.job, self.job.max_new_tokens
        asked = self.adapter, job.media, job.question, job.methods[0]
        *_, result = run_lane(*asked, max_new_tokens=most, study=study)
        assert isinstance(result, LaneResult)
        return result

    def off(self) -> dict[str, float]:
        return {"off": without_reading(self.lane())}

    def on(self) -> dict[str, float]:
        result = self.lane(Study(self.job.truth.box if self.job.truth else None))
        assert result.analysis is not None
        return {"on": without_reading(result), "analysis": result.analysis.seconds}

    def generate(self) -> dict[str, float]:
        prompt = self.adapter.prepare(self.job.media, self.job.question)
        start = time.perf_counter()
        self.adapter.generate(prompt, max_new_tokens=self.job.max_new_tokens)
        return {"generate": time.perf_counter() - start}


def analysis_time(model: str, repeats: int, settings: Settings) -> dict[str, Any]:
    """Medians in seconds without reading the upload, and ratios within a round.

    A ratio has the 95 % bootstrap interval of its median over rounds.
    """
    running = load_text()
    adapter = load(model, settings.device or None, settings.dtype or None)
    runs = Runs(adapter, example_job(model, settings))
    rounds = [runs.round(turn) for turn in range(WARM_UP + repeats)][WARM_UP:]
    times = {name: np.array([one[name] for one in rounds]) for name in rounds[0]}
    return {
        "model": model,
        "repeats": repeats,
        "conditions": conditions(adapter),
        "load": running,
        "seconds": {name: float(np.median(each)) for name, each in times.items()},
        "off_over": {name: _ratio(times["off"] / times[name]) for name in OTHERS},
    }


def _ratio(ratios: np.ndarray) -> dict[str, Any]:
    found = interval(lambda drawn: float(np.median(ratios[drawn])), len(ratios))
    return {"median": float(np.median(ratios)), "interval": list(found)}


def table(report: dict[str, Any]) -> str:
    """The report as text, a line a figure."""
    seconds = report["seconds"]
    lines = [f"vanilla, analysis off: {seconds['off']:.3f} s, median of {report['repeats']}"]
    for name, title in OTHERS.items():
        ratio = report["off_over"][name]
        low, high = ratio["interval"]
        lines.append(
            f"over {title} ({seconds[name]:.3f} s): {ratio['median']:.3f} "
            f"({low:.3f} to {high:.3f}, 95 %)"
        )
    return "\n".join([*lines, f"the analysis itself: {seconds['analysis']:.3f} s"])
