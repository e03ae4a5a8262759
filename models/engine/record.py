"""Results of a comparison, as frozen records with numpy arrays, for drawing and saving."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from models.uploads.media import Media
from pruning.budget import Averages
from pruning.trace import TokenTrace

PHASES = ("read", "encode", "compress", "prefill", "decode")


@dataclass(frozen=True)
class Phase:
    """One phase of a lane: its seconds and its token counts.

    Read, encode and compress count visual tokens; prefill counts rows in the first and the last LLM
    layer; decode counts rows in the last LLM layer at its start, and generated tokens.
    """

    name: str  # of PHASES
    seconds: float
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Timeline:
    """A lane's phases in order, measured with the device synchronised at every edge."""

    phases: tuple[Phase, ...]
    first_token: float  # seconds of decode up to the first token
    cold: bool = False  # first run of this shape in this process

    def seconds(self, name: str) -> float:
        return sum(phase.seconds for phase in self.phases if phase.name == name)

    @property
    def ttft(self) -> float:
        """Time to first token in seconds: all phases before decode, and the first token's."""
        return sum(p.seconds for p in self.phases if p.name != "decode") + self.first_token

    @property
    def total(self) -> float:
        return sum(phase.seconds for phase in self.phases)


class Cell(NamedTuple):
    """Attention edges that an answer goes without; roles as in `models.analysis.cells.ROLES`."""

    source: str  # the rows that no longer see the target
    layers: tuple[int, int]  # first LLM layer, and the one after the last
    target: str = "visual"

    @property
    def of_object(self) -> bool:
        """Whether it needs to be known which tokens are the object's."""
        return "object" in (self.source, self.target)


@dataclass(frozen=True, eq=False)
class Blocked:
    """A lane's answer without some attention edges."""

    cell: Cell
    probability_ratio: float  # of the lane's own answer, blocked over open
    answer: str  # generated with the edges blocked
    boxes: np.ndarray  # (M, 4) xyxy as fractions of the last frame, parsed from that answer


@dataclass(frozen=True, eq=False)
class LaneAnalysis:
    """The measures of a lane: by LLM layer (L,), by encoder layer (E,), by answer token (A,).

    NaN where a measure has no value: without an object, or without visual tokens.
    """

    tokens: tuple[str, ...]  # (A,) of the answer, as text
    log_probability: float  # of the answer, natural logarithm
    curves: Mapping[str, np.ndarray]  # name -> (L,)
    encoder_curves: Mapping[str, np.ndarray]  # name -> (E,)
    maps: np.ndarray  # (A, L, N) float32 attention of each answer token, spread over catchments
    words: np.ndarray  # (L, N) index into `vocabulary` of what each survivor says; −1 = none
    vocabulary: tuple[str, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    seconds: float = 0.0  # of the analysis, after the lane

    @property
    def num_bytes(self) -> int:
        return self.maps.nbytes + self.words.nbytes


def median_run(runs: Sequence[Timeline]) -> Timeline:
    """The run whose time to first token is the median; of two in the middle, the shorter."""
    return sorted(runs, key=lambda run: run.ttft)[(len(runs) - 1) // 2]


@dataclass(frozen=True, eq=False)
class LaneResult:
    """The result of one method's run."""

    method: str
    title: str
    knobs: Mapping[str, Any]
    asked_ratio: float | None  # None for a method without a ratio
    answer: str
    new_tokens: int
    boxes: np.ndarray  # (M, 4) xyxy as fractions of the last frame, parsed from the answer
    trace: TokenTrace
    timeline: Timeline
    text_tokens: int
    kv_bytes: int
    tflops: float  # encode + projector + prefill; formula in models/engine/flops.py
    peak_bytes: int | None  # peak of this lane in the device allocator; None on the CPU
    averages: Averages | None = None  # None in old recordings
    analysis: LaneAnalysis | None = None  # where the job asked for one; not saved in recordings
    # (L,) visual rows that a decode step reads in each layer, on average; None: as many as prefill
    reads: tuple[float, ...] | None = None
    repeats: tuple[Timeline, ...] = ()  # of runs in turns with the other lanes; empty: ran once

    @property
    def typical(self) -> Timeline:
        """The run with the median time to first token, or the only run."""
        return median_run(self.repeats) if self.repeats else self.timeline

    @property
    def ttft_quartiles(self) -> tuple[float, float] | None:
        """Half of the runs lie between these times to first token; None if the lane ran once."""
        if len(self.repeats) < 2:
            return None
        low, _, high = statistics.quantiles((run.ttft for run in self.repeats), method="inclusive")
        return low, high

    @property
    def spread(self) -> float | None:
        """Distance of the quartiles as a share of the median; None if the lane ran once."""
        if self.ttft_quartiles is None:
            return None
        low, high = self.ttft_quartiles
        return (high - low) / self.typical.ttft if self.typical.ttft else 0.0


@dataclass(frozen=True)
class LaneFailure:
    """A lane that failed, and the reason in one sentence for the visitor."""

    method: str
    title: str
    reason: str


@dataclass(frozen=True, eq=False)
class Truth:
    """The correct answer, known for generated pictures."""

    answer: str
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """One model's answers to one question with several methods, vanilla first."""

    model: str
    question: str
    media: Media
    lanes: tuple[LaneResult | LaneFailure, ...]
    conditions: Mapping[str, str]  # device, dtype, attention, versions, cold or warm
    truth: Truth | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # max new tokens, temperature, seed

    def __getitem__(self, method: str) -> LaneResult:
        """The first lane of a method, by its name, or by its title where presets share a name.

        Raises `KeyError` with the names there are, and `ValueError` with a failed lane's reason.
        """
        for lane in self.lanes:
            if method in (lane.method, lane.title):
                if isinstance(lane, LaneFailure):
                    raise ValueError(f"{lane.title} failed: {lane.reason}")
                return lane
        names = ", ".join(lane.method for lane in self.lanes)
        raise KeyError(f"There is no lane of {method!r}; there are {names}.")
