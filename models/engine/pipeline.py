"""Runs one lane: a model answers a question about an upload with a compression method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from models.engine.base import Adapter
from models.engine.checks import Gaze, check_kind, check_looked, check_question
from models.engine.decode import TextStream, decode
from models.engine.guide import Guidance, run_guide
from models.engine.prefill import prefill
from models.engine.recall import Recall
from models.engine.record import LaneAnalysis, LaneResult, Phase, Timeline
from models.engine.request_signals import with_request_signals
from models.engine.resizing import resized
from models.engine.timeline import Stopwatch
from models.uploads.media import Media
from pruning.base import CompressionMethod, Seam
from pruning.errors import ExplainedError
from pruning.step import TraceStep
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens
from pruning.trace import TokenTrace


def run_lane(
    adapter: Adapter,
    media: Media,
    question: str,
    method: CompressionMethod,
    *,
    gaze: Gaze = (),
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    cold: bool = False,
    stops: bool = True,
    study: Callable[[Lane], LaneAnalysis] | None = None,
) -> Iterator[Phase | str | LaneResult]:
    """Runs one step per `next` and yields its output: a phase, a text delta, or the result.

    Steps are read, encode, compress, prefill, then each decoded token; a scheduler may run other
    lanes' steps between them. Text deltas may be empty; joined, they are the answer. With
    `stops=False`, generates `max_new_tokens` regardless of end tokens, for timing. `study` analyses
    the finished lane, outside of its clock.
    """
    if max_new_tokens < 1 or temperature < 0:
        raise ExplainedError(
            f"Got {max_new_tokens} new tokens at temperature {temperature}; "
            "wanted at least 1 token and a temperature of at least 0."
        )
    lane = Lane(adapter, media, question, method, gaze)
    for step in (lane.read, lane.encode, lane.compress, lane.prefill):
        yield step()
    yield from lane.decode(max_new_tokens, temperature, seed, stops)
    yield lane.phases[-1]
    result = lane.result(cold)
    yield replace(result, analysis=study(lane)) if study else result


class Lane:
    """The steps of a lane, to call in order, each timed by the lane's stopwatch.

    The time of the projector counts as encode if the method or the model compresses after it,
    otherwise as prefill. A guide's run, its answer included, counts as compress.
    """

    def __init__(
        self,
        adapter: Adapter,
        media: Media,
        question: str,
        method: CompressionMethod,
        gaze: Gaze = (),
    ) -> None:
        check_kind(method.label, "method", method.media, media.kind)
        check_kind("This model", "model", adapter.media, media.kind)
        self.adapter, self.media, self.method = adapter, media, method
        self.question = check_question(question)
        self.gaze = check_looked(method.label, gaze) if "gaze" in method.needs.request else gaze
        self.watch = Stopwatch(adapter.device)
        self.phases: list[Phase] = []
        self.guidance: Guidance | None = None
        self.recall: Recall | None = None

    def read(self) -> Phase:
        with self.watch.running("read"):
            whole = self.adapter.prepare(self.media, self.question)
            self.budget = self.method.budget_for(whole.layout, self.adapter.decoder.num_layers)
            self.prompt = resized(
                self.adapter, self.media, self.question, whole, self.method, self.budget
            )
        self.watch.seconds["read"] += self.media.read_seconds
        self.places = whole.layout
        return self.end_phase("read", 0, len(self.prompt.layout))

    def encode(self) -> Phase:
        with self.watch.running("encode"):
            visual = self.adapter.encode(self.prompt, self.method.needs)
            if self.method.seam is Seam.PROJECTED:
                visual = replace(visual, features=self.adapter.project(visual.features))
            visual = with_request_signals(visual, self.method, self.media, self.gaze)
        self.visual = visual
        return self.end_phase("encode", len(self.prompt.layout), len(visual))

    def compress(self) -> Phase:
        with self.watch.running("compress"):
            self.compress_tokens()
            self.tokens = self.applied.apply(self.visual.features)
            if self.budget.inner and "guidance" in self.method.needs.llm:
                guide = self.adapter.guide.load() if self.adapter.guide else self.adapter
                self.guidance = run_guide(guide, self.media, self.question, self.visual.layout)
        return self.end_phase("compress", len(self.visual), len(self.token_map))

    def compress_tokens(self) -> None:
        """Sets `applied`, from encoded tokens to survivors, and `token_map`, from original ones.

        They differ if the upload was resized: then all encoded tokens survive.
        """
        if self.method.seam is Seam.PIXELS:
            none = self.visual.features.new_empty(len(self.places), 0)
            self.token_map = self.method.compress(
                VisualTokens(none, self.places), self.budget.before
            )
            self.applied = TokenMap.identity(len(self.visual), none.device)
        else:
            self.token_map = self.method.compress(self.visual, self.budget.before)
            self.applied, self.places = self.token_map, self.visual.layout

    def prefill(self) -> Phase:
        before = self.method.positions.before
        with self.watch.running("prefill"):
            if self.method.seam is not Seam.PROJECTED:
                self.tokens = self.adapter.project(self.tokens)
            self.sequence = self.adapter.splice(
                self.prompt, self.visual, self.applied, self.tokens, before
            )
            if self.guidance is not None:
                importance = self.guidance.importance.to(self.adapter.device)
                self.sequence = replace(self.sequence, guidance=importance)
            self.state, self.inner_maps = prefill(
                self.adapter.decoder, self.sequence, self.method, self.budget
            )
            if self.budget.reads is not None:
                decoder, last = self.adapter.decoder, self.state.last
                self.recall = Recall(decoder, self.method, self.budget, last)
        self.kv_bytes = self.state.kv_bytes
        rows = self.state.rows_per_layer
        return self.end_phase("prefill", rows[0], rows[-1])

    def decode(
        self, max_new_tokens: int, temperature: float, seed: int, stops: bool = True
    ) -> Iterator[str]:
        """One text delta per token, and the rest of the text."""
        self.stream = TextStream(self.adapter.to_text)
        ids = decode(
            self.adapter.decoder,
            self.state,
            self.adapter.end_ids if stops else frozenset(),
            max_new_tokens,
            temperature,
            seed,
            self.recall,
        )
        while (token := self.next_token(ids)) is not None:
            yield self.stream.push(token)
        yield self.stream.finish()
        self.end_phase("decode", self.state.rows_per_layer[-1], len(self.stream.ids))

    def next_token(self, ids: Iterator[int]) -> int | None:
        with self.watch.running("decode"):
            token = next(ids, None)
        if not self.stream.ids:
            self.first_token = self.watch.seconds["decode"]
        return token

    def end_phase(self, name: str, tokens_in: int, tokens_out: int) -> Phase:
        self.phases.append(Phase(name, self.watch.seconds[name], tokens_in, tokens_out))
        return self.phases[-1]

    def trace(self) -> TokenTrace:
        """The trace of the maps that were applied."""
        maps = [(0, self.token_map), *self.inner_maps]
        steps = tuple(TraceStep.of(layer, token_map) for layer, token_map in maps)
        return TokenTrace(self.places, steps, self.adapter.decoder.num_layers)

    def reads(self) -> tuple[float, ...] | None:
        """Visual rows that a decode step reads in each layer, on average, if not as in prefill."""
        cached = self.budget.in_cache(self.adapter.decoder.num_layers)
        if self.recall is not None and self.recall.counts:
            return self.recall.reads(cached)
        return None if self.budget.trims_from is None else tuple(map(float, cached))

    @property
    def title(self) -> str:
        """The method's title, with the guide's if a guide ran."""
        title = self.method.title_of(self.budget)
        if self.guidance is None:
            return title
        guide = self.adapter.guide.title if self.adapter.guide else "itself"
        return f"{title}, guided by {guide}"

    def result(self, cold: bool) -> LaneResult:
        knobs = self.method.knobs
        projected = self.visual if self.method.seam is Seam.PROJECTED else self.token_map
        flops = self.adapter.flops(
            self.prompt, self.method.needs, len(projected), self.state.rows_per_layer
        )
        if self.guidance is not None:
            flops += self.guidance.flops
        return LaneResult(
            method=self.method.name,
            title=self.title,
            knobs=knobs,
            asked_ratio=knobs.get("retention_ratio"),
            answer=self.stream.text,
            new_tokens=len(self.stream.ids),
            boxes=self.adapter.boxes(self.prompt, self.stream.text),
            trace=self.trace(),
            averages=self.budget.averages(self.adapter.decoder.num_layers),
            reads=self.reads(),
            timeline=Timeline(tuple(self.phases), self.first_token, cold),
            text_tokens=self.prompt.num_text,
            kv_bytes=self.kv_bytes,
            tflops=flops / 1e12,
            peak_bytes=self.watch.peak_bytes,
        )
