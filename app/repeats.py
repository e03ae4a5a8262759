"""Repeats the lanes of a comparison in turns: medians, and how far the runs lie apart."""

from __future__ import annotations

from dataclasses import replace

from app.worker.protocol import Job
from models.engine.record import Comparison, LaneResult

FEWEST, MOST = 5, 9  # runs of each lane
SECONDS = 20  # wanted for all runs together


def repeats_for(comparison: Comparison) -> int:
    """As many runs as take about `SECONDS`, an odd number, so that one of them is the median."""
    ran = [lane for lane in comparison.lanes if isinstance(lane, LaneResult)]
    once = sum(lane.timeline.total for lane in ran) or 1.0
    count = min(max(int(SECONDS / once), FEWEST), MOST)
    return count - (count + 1) % 2


def repeated(job: Job, comparison: Comparison, count: int) -> Job:
    """The job that runs the lanes that answered `count` times, in turns: A, B, A, B, …"""
    pairs = zip(job.methods, comparison.lanes, strict=True)
    answered = tuple(method for method, lane in pairs if isinstance(lane, LaneResult))
    return replace(job, methods=answered * count, at_once=1, study=None)


def with_repeats(comparison: Comparison, runs: Comparison) -> Comparison:
    """The comparison with the times of its repeated runs, and their conditions.

    A lane keeps its own time alone if one of its runs failed.
    """
    answered = [i for i, lane in enumerate(comparison.lanes) if isinstance(lane, LaneResult)]
    lanes = list(comparison.lanes)
    for place, index in enumerate(answered):
        own = runs.lanes[place :: len(answered)]
        timelines = tuple(run.timeline for run in own if isinstance(run, LaneResult))
        if len(timelines) == len(own):
            lanes[index] = replace(lanes[index], repeats=timelines)
    return replace(comparison, lanes=tuple(lanes), conditions=runs.conditions)
