"""Seconds of a device to request for a job: at first a guess, then by what the last lanes took."""

from __future__ import annotations

from collections import defaultdict, deque

from app.worker.protocol import Job
from models.engine.record import LaneResult

START = 10.0  # seconds until the first lane runs
LANE, FRAME, TOKEN = 3.0, 0.2, 0.1  # seconds, guessed: of a lane, of each frame, of each new token
PASSES = 2  # each method runs once before it is measured
MARGIN = 2.0  # over the slowest of the last lanes
LAST = 16  # lanes
MOST = 120.0  # that the platform grants; a sweep has many lanes, and each is short


class Pace:
    """What lanes of each model took: until the first token over the guess, and for a token."""

    def __init__(self) -> None:
        self._took: dict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=LAST))

    def learn(self, job: Job, lane: LaneResult) -> None:
        """Count a lane of a job that has ended."""
        phases = {phase.name: phase.seconds for phase in lane.timeline.phases}
        decode = phases.pop("decode")
        first = sum(phases.values()) - job.media.read_seconds  # the upload was read before the call
        self._took[job.model].append((first / _guess(job), decode / max(1, lane.new_tokens)))

    def seconds(self, job: Job) -> float:
        """Seconds to request; the platform returns those that are not used."""
        if job.study:  # runs each lane many times more
            return MOST
        if took := self._took[job.model]:
            first, token = map(max, zip(*took, strict=True))
            lane = MARGIN * (PASSES * first * _guess(job) + token * job.max_new_tokens)
        else:
            lane = _guess(job) + TOKEN * job.max_new_tokens
        return min(MOST, START + len(job.methods) * lane)


def _guess(job: Job) -> float:
    """Seconds of one lane until its first token."""
    return LANE + FRAME * len(job.media.frames)
