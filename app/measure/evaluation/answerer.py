"""Questions of a benchmark, answered by a model of the catalogue under one method."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from models.catalog import find
from models.engine.base import Adapter
from models.engine.checks import checked
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media, drawn
from models.uploads.read import read_media, to_rgb
from pruning.base import CompressionMethod
from pruning.methods import create

PLACEHOLDER = re.compile(r"<(?:image|video)>\n?")
BOXES = ("written", "picture")
MAX_NEW_TOKENS = 1024  # where a task names none, as lmms-eval's own models have it


@dataclass(frozen=True)
class Asked:
    """A question as a benchmark puts it."""

    place: str  # in its data: "gqa, testdev 17"
    text: str  # it may hold placeholders
    visuals: Callable[[], Sequence[Any]]  # pictures of Pillow, or paths of clips; loaded when due
    options: Mapping[str, Any]  # "until", "max_new_tokens", "temperature" and others


@dataclass(frozen=True)
class Answer:
    """What came of one."""

    text: str
    ratio: float  # measured
    new_tokens: int
    seconds: float


@dataclass(frozen=True)
class Answerer:
    """A model under a method. Boxes stay as "written", or are told as fractions of the "picture".

    A benchmark that reads boxes as fractions of the picture misreads a model that was trained to
    write them as fractions of the padded square.
    """

    adapter: Adapter
    method: CompressionMethod
    frames: int  # sampled of a clip
    boxes: str = "written"  # of BOXES

    def __post_init__(self) -> None:
        if self.boxes not in BOXES:
            wanted = " or ".join(BOXES)
            raise ValueError(f"Boxes are {self.boxes!r}, wanted {wanted}.")

    def answers(self, asked: Sequence[Asked]) -> Iterator[Answer]:
        """One each, in their order. What is wrong with any text or option is said before all."""
        settled = [_placed(one.place, _settle, one) for one in asked]
        for one, (question, decoding) in zip(asked, settled, strict=True):
            yield _placed(one.place, self._answer, one, question, decoding)

    def _answer(self, asked: Asked, question: str, decoding: Decoding) -> Answer:
        media = upload(asked.visuals(), self.frames)
        *_, result = run_lane(
            self.adapter,
            media,
            question,
            self.method,
            max_new_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
        )
        assert isinstance(result, LaneResult)
        text = decoding.ended(self._told(result).strip())
        return Answer(text, result.trace.average, result.new_tokens, result.timeline.total)

    def _told(self, result: LaneResult) -> str:
        if self.boxes == "written" or not len(result.boxes):
            return result.answer
        return "[" + ", ".join(f"{side:.3f}" for side in result.boxes[0]) + "]"


@dataclass(frozen=True)
class Decoding:
    """How an answer is decoded, and before which strings it ends."""

    max_new_tokens: int = MAX_NEW_TOKENS
    temperature: float = 0.0
    until: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Decoding:
        """Of a task's options. Those that would change the answer and are not known are refused."""
        sampled = options.get("do_sample") is not False
        temperature = float(options.get("temperature") or 0) if sampled else 0.0
        if (options.get("num_beams") or 1) > 1:
            raise ValueError(f"num_beams is {options['num_beams']}, wanted 1: no beams here.")
        if temperature and (options.get("top_p") or 1) < 1:
            raise ValueError(f"top_p is {options['top_p']}, wanted 1: no nucleus here.")
        until = options.get("until") or ()
        stops = (until,) if isinstance(until, str) else tuple(until)
        most = int(options.get("max_new_tokens") or MAX_NEW_TOKENS)
        return cls(most, temperature, tuple(filter(None, stops)))

    def ended(self, text: str) -> str:
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
    """Of names, as a person types them; `knobs` are the method's. Raises `ValueError`s only."""
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
    made = create(method, family=card.family, **knobs)
    return Answerer(load(model, device, dtype), made, sampled, boxes)


def upload(visuals: Sequence[Any], frames: int) -> Media:
    """The one picture or clip of a question."""
    if len(visuals) != 1:
        raise ValueError(
            f"{len(visuals)} pictures or clips came with the question, wanted 1: "
            "choose a task that asks about one."
        )
    (visual,) = visuals
    if isinstance(visual, Image.Image):
        return drawn(np.asarray(to_rgb(ImageOps.exif_transpose(visual))))
    if isinstance(visual, str):
        return read_media(visual, frames)
    raise ValueError(f"A {type(visual).__name__} came, wanted a picture or the path of a clip.")


def _settle(asked: Asked) -> tuple[str, Decoding]:
    return checked(PLACEHOLDER.sub("", asked.text)), Decoding.of(asked.options)


def _placed(place: str, run: Callable[..., Any], *arguments: Any) -> Any:
    """What `run` gives; its refusal with the place of the question before it."""
    try:
        return run(*arguments)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
