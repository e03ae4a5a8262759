"""Answers the questions of a benchmark with one model under one method."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from app.measure.asking import Case, Refusal, ask
from models.catalog import find
from models.engine.base import Adapter
from models.engine.checks import check_question
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media, MediaError, drawn
from models.uploads.read import read_media, to_rgb
from pruning.base import CompressionMethod
from pruning.methods import create

PLACEHOLDER = re.compile(r"<(?:image|video)>\n?")
BOXES = ("written", "picture")
MAX_NEW_TOKENS = 1024  # default of lmms-eval's own models


@dataclass(frozen=True)
class Request:
    """A question of a benchmark."""

    place: str  # in its data: "gqa, testdev 17"
    text: str  # may hold placeholders
    visuals: Callable[[], Sequence[Any]]  # loads Pillow pictures or paths of clips
    options: Mapping[str, Any]  # "until", "max_new_tokens", "temperature" and others


@dataclass(frozen=True)
class Reply:
    """The model's answer to a request."""

    text: str
    ratio: float  # measured
    new_tokens: int
    seconds: float


@dataclass(frozen=True)
class Answerer:
    """A model under one method.

    Boxes stay as "written", or are given as fractions of the "picture": a benchmark that reads
    fractions of the picture misreads a model that writes fractions of the padded square.
    """

    adapter: Adapter
    method: CompressionMethod
    frames: int  # sampled of a clip
    boxes: str = "written"  # of BOXES

    def __post_init__(self) -> None:
        if self.boxes not in BOXES:
            wanted = " or ".join(BOXES)
            raise ValueError(f"Boxes are {self.boxes!r}, wanted {wanted}.")

    def answer(self, requests: Sequence[Request]) -> Iterator[Reply]:
        """A reply to each request, in order; all texts and options are checked first.

        Raises a `ValueError` that begins with the place of the request.
        """
        for case, decoding in [self._case(request) for request in requests]:
            (reply,) = ask(self.adapter, case, partial(self._reply, decoding))
            if isinstance(reply, Refusal):
                raise ValueError(f"{case.name}: {reply.reason}")
            yield reply

    def _case(self, request: Request) -> tuple[Case, Decoding]:
        try:
            question = check_question(PLACEHOLDER.sub("", request.text))
            decoding = Decoding.parse(request.options)
        except ValueError as error:
            raise ValueError(f"{request.place}: {error}") from error
        return Case(
            request.place,
            lambda: read_visual(request.visuals(), self.frames),
            question,
            (self.method,),
            decoding.max_new_tokens,
            decoding.temperature,
        ), decoding

    def _reply(self, decoding: Decoding, case: Case, result: LaneResult) -> Reply:
        text = result.answer
        if self.boxes == "picture" and len(result.boxes):
            text = "[" + ", ".join(f"{side:.3f}" for side in result.boxes[0]) + "]"
        text = decoding.cut(text.strip())
        return Reply(text, result.trace.average, result.new_tokens, result.timeline.total)


@dataclass(frozen=True)
class Decoding:
    """How an answer is decoded, and the strings that end it."""

    max_new_tokens: int = MAX_NEW_TOKENS
    temperature: float = 0.0
    until: tuple[str, ...] = ()

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Decoding:
        """Reads the options of a task. Refuses beams and nucleus sampling, which are not built."""
        sampled = options.get("do_sample") is not False
        temperature = float(options.get("temperature") or 0) if sampled else 0.0
        if (options.get("num_beams") or 1) > 1:
            raise ValueError(f"num_beams is {options['num_beams']}, wanted 1: no beam search.")
        if temperature and (options.get("top_p") or 1) < 1:
            raise ValueError(f"top_p is {options['top_p']}, wanted 1: no nucleus sampling.")
        until = options.get("until") or ()
        stops = (until,) if isinstance(until, str) else tuple(until)
        most = int(options.get("max_new_tokens") or MAX_NEW_TOKENS)
        return cls(most, temperature, tuple(filter(None, stops)))

    def cut(self, text: str) -> str:
        """The text before the first string that ends it."""
        for stop in self.until:
            text = text.partition(stop)[0]
        return text.strip()


def answerer(
    model: str = "embedded-image",
    method: str = "vanilla",
    retention: float | None = None,
    positions: str = "published",
    frames: int | None = None,
    boxes: str = "written",
    device: str | None = None,
    dtype: str | None = None,
    **knobs: Any,
) -> Answerer:
    """Loads an answerer by names; `knobs` are the method's. Raises `ValueError`s only."""
    card = find(model)
    sampled = card.frames if frames is None else frames
    if not isinstance(sampled, int) or sampled < 1:
        raise ValueError(f"Frames are {frames!r}, wanted a whole number from 1.")
    if retention is not None and method == "vanilla":
        raise ValueError("Vanilla keeps every visual token: leave retention out.")
    if retention is not None:
        knobs["retention_ratio"] = retention
    if positions != "published":
        knobs["numbering"] = positions
    chosen = create(method, family=card.family, **knobs)
    return Answerer(load(model, device, dtype), chosen, sampled, boxes)


def read_visual(visuals: Sequence[Any], frames: int) -> Media:
    """The one picture or clip of a request."""
    if len(visuals) != 1:
        raise MediaError(
            f"{len(visuals)} pictures or clips came with the question, wanted 1: "
            "choose a task that asks about one."
        )
    (visual,) = visuals
    if isinstance(visual, Image.Image):
        return drawn(np.asarray(to_rgb(ImageOps.exif_transpose(visual))))
    if isinstance(visual, str):
        return read_media(visual, frames)
    raise MediaError(f"A {type(visual).__name__} came, wanted a picture or the path of a clip.")
