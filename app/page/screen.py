"""The lanes of one comparison on the page: takes events, gives the HTML that changed."""

from __future__ import annotations

from collections.abc import Sequence

from app.page.lanes import Lane, lane_text
from app.page.pictures import lane_pictures, placeholder
from app.render.palette import lane_colours
from app.render.summary import lane_rows
from app.worker.events import ComparisonDone, Event, LaneDone, LaneFailed
from app.worker.protocol import Job
from models.engine.record import Comparison, LaneResult, Truth
from models.uploads.media import Media


class Screen:
    """The state of one comparison. Its parts are named "text0" … and "picture0" …."""

    def __init__(
        self,
        model: str,
        question: str,
        media: Media,
        truth: Truth | None,
        lanes: Sequence[Lane],
        drawn: bool,
        number: str = "",
        opened: bool = False,
    ) -> None:
        self.model, self.question, self.media, self.truth = model, question, media, truth
        self.drawn = drawn  # whether this project has drawn the upload
        self.number = number  # of the job, "" for a recording
        self.opened = opened  # from a file of a visitor
        self.comparison: Comparison | None = None
        self.lanes = lanes
        colours = lane_colours([lane.method for lane in lanes])
        for lane, colour in zip(lanes, colours, strict=True):
            lane.colour, lane.expected = colour, truth.answer if truth else None
        self._results: dict[int, LaneResult] = {}
        self._pictures: dict[int, str] = {}
        self._placeholder = placeholder(media)

    @classmethod
    def of_job(cls, job: Job) -> Screen:
        """A comparison that begins: every lane waits."""
        lanes = [
            Lane(one.name, one.label, getattr(one, "retention_ratio", None)) for one in job.methods
        ]
        number, drawn = job.number, job.drawn
        return cls(job.model, job.question, job.media, job.truth, lanes, drawn, number)

    @classmethod
    def of_recording(cls, comparison: Comparison, opened: bool = False) -> Screen:
        """A finished comparison, drawn."""
        lanes = []
        for one in comparison.lanes:
            if isinstance(one, LaneResult):
                lane = Lane(one.method, one.title, one.asked_ratio, "done", one.answer)
            else:
                lane = Lane(one.method, one.title, None, "failed", failure=one.reason)
            lanes.append(lane)
        model, question = comparison.model, comparison.question
        drawn = bool(comparison.options.get("drawn", comparison.truth is not None))
        media, truth = comparison.media, comparison.truth
        screen = cls(model, question, media, truth, lanes, drawn, opened=opened)
        screen.take(ComparisonDone(comparison))
        screen.draw()
        return screen

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self._pictures.values()))

    def take(self, event: Event) -> set[str]:
        """Apply one event; returns the names of the parts that changed."""
        if isinstance(event, ComparisonDone):
            self._finish(event.comparison)
            return {f"text{index}" for index in range(len(self.lanes))}
        lane = self.lanes[event.lane]
        lane.take(event)
        if isinstance(event, LaneDone):
            result = event.result
            alone = Comparison(self.model, self.question, self.media, (result,), {}, self.truth)
            lane.row = lane_rows(alone)[0]
            self._results[event.lane] = event.result
        if isinstance(event, LaneFailed):
            return {f"text{event.lane}", f"picture{event.lane}"}
        return {f"text{event.lane}"}

    def draw(self) -> None:
        """Make the pictures of the finished lanes.

        Call it when the device is idle: drawing beside a running lane would slow its clock.
        """
        for index, result in self._results.items():
            if index not in self._pictures:
                colour, first = self.lanes[index].colour, not self._pictures
                self._pictures[index] = lane_pictures(
                    self.media, result, self.truth, colour, frames=first
                )

    def _finish(self, comparison: Comparison) -> None:
        self.comparison = comparison
        results = enumerate(comparison.lanes)
        self._results = {index: one for index, one in results if isinstance(one, LaneResult)}
        rows = lane_rows(comparison)
        for lane, row in zip(self.lanes, rows, strict=True):
            lane.title = row["label"]
            if row["failure"] is None:
                lane.row = row
                if row is not rows[0] and rows[0]["failure"] is None:
                    lane.vanilla = rows[0]["answer"]

    def stop(self) -> None:
        for lane in self.lanes:
            lane.stop()

    def html(self, part: str) -> str:
        lane, index = self.lanes[int(part[-1])], int(part[-1])
        if part.startswith("text"):
            return lane_text(lane)
        empty = lane.phase in ("failed", "stopped")
        return self._pictures.get(index, "" if empty else self._placeholder)

    def parts(self) -> dict[str, str]:
        """The HTML of every part."""
        names = [f"{kind}{i}" for i in range(len(self.lanes)) for kind in ("text", "picture")]
        return {name: self.html(name) for name in names}

    def status(self) -> str:
        phases = [lane.phase for lane in self.lanes]
        done, failed = phases.count("done"), phases.count("failed")
        if "stopped" in phases:
            return f"Stopped. {done} of {len(phases)} lanes had finished."
        failures = f", {failed} failed" if failed else ""
        return f"{done} of {len(phases)} lanes answered{failures}."
