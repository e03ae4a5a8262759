"""The request: one question about one upload. Every front end is made from its fields.

The page's form, the API, the command line and Python read labels, help, defaults and limits here.
Nothing heavy is imported, so that `--help` stays fast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from models.uploads.media import Media

POSITIONS = (  # (title, value)
    ("As published", "published"),
    ("PERC: re-indexed contiguously", "perc"),
    ("PESP: the sparse original ids", "pesp"),
    ("RPME: stretched over the full range", "rpme"),
    ("RPME, affine (ours): the full range, every gap stretched alike", "rpme_affine"),
)
RATIOS = (1 / 2, 1 / 3, 2 / 9, 1 / 9, 1 / 12, 1 / 18)  # of a sweep
MOST_RATIOS = 12
LEAST_TEMPERATURE = 0.01  # with a smaller one, scaled logits overflow


@dataclass(frozen=True)
class Input:
    """How front ends present one field, and which values it accepts."""

    label: str
    help: str
    low: float = 0  # range of a number
    high: float | str = 0  # a number, or the name of the setting that holds it
    step: float = 0  # 1: whole numbers; 0: no number at all
    accepts: Callable[[float], bool] | None = None  # None: all numbers from `low` to `high`
    wanted: str = ""  # what `accepts`, in an error message
    flag: str = ""  # on the command line, if it is not the field's name
    parse: Callable[[str], Any] = str  # an argument of the command line

    def limits(self, settings: Settings) -> tuple[float, float]:
        high = getattr(settings, self.high) if isinstance(self.high, str) else self.high
        return self.low, high


def field(label: str, help: str, default: Any = MISSING, **options: Any) -> Any:
    """A field of `Request`; `options` are those of `Input`."""
    return dataclasses.field(default=default, metadata={"input": Input(label, help, **options)})


def number(label: str, help: str, default: Any, step: float, **options: Any) -> Any:
    """A field that holds a number: a whole one if `step` is 1."""
    parse = int if step == 1 else float
    return field(label, help, default, step=step, parse=parse, **options)


def split_names(text: str) -> list[str]:
    """ "nuwa, fastv" as a list."""
    return [part.strip() for part in text.split(",")]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question about one upload, as it came: `app.jobs.read_job` checks it."""

    upload: str | Path | Media | None = field("Upload", "Picture or clip: a file")  # noqa: RUF009
    question: str | None = field("Question", "What to ask about it")
    model: str = field("Model", "Name of the model; default: the one that takes such an upload", "")
    methods: Sequence[str] | None = field(
        "Methods",
        "Names of methods, such as nuwa or nuwa:paper, or composed parts, such as "
        "visionzip.before+fastv.inner+rpme; vanilla is always the first lane; "
        "default: methods that suit the upload",
        None,
        parse=split_names,
    )
    retention_ratio: float = number(
        "Retention ratio",
        "Visual tokens, averaged over LLM layers, as a share of all",
        0.222,  # tests/app/test_typical.py says why
        0.001,
        low=0.05,
        high=1,
        accepts=lambda ratio: 0 < ratio <= 1,
        wanted="a number above 0 and at most 1",
        flag="retention",
    )
    max_new_tokens: int = number(
        "Max new tokens", "Length of the longest answer", 64, 1, low=1, high="max_new_tokens"
    )
    temperature: float = number(
        "Temperature",
        "0 takes the most likely token each time; above 0, tokens are sampled",
        0.0,
        0.05,
        high=2,
        accepts=lambda value: value == 0 or LEAST_TEMPERATURE <= value <= 2,
        wanted=f"0 (greedy), or {LEAST_TEMPERATURE} to 2",
    )
    seed: int = number(
        "Seed", "Of the sampling, if the temperature is above 0", 0, 1, high=2**32 - 1
    )
    positions: str = field(
        "Positions",
        "How survivors are numbered for rotary embedding: published, perc, pesp, rpme or "
        "rpme_affine (ours)",
        "published",
    )
    num_frames: int | None = number(
        "Frames",
        "Sampled evenly over the clip; default: as many as the model expects",
        None,
        1,
        low=1,
        high="max_frames",
        flag="frames",
    )
    gaze: str = field(
        "Gaze",
        "Where you look, for GazeVLM: points x,y or x,y,seconds as fractions of the picture, such "
        "as 0.3,0.5 0.7,0.2",
        "",
    )
    locate: str = field("Locate", "What to find: asks for its box in the model's own words", "")


INPUTS: dict[str, Input] = {one.name: one.metadata["input"] for one in fields(Request)}
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(Request)}
OPTIONS = tuple(name for name in INPUTS if name not in ("upload", "question", "locate"))


def add_arguments(parser: Any, names: Iterable[str] = OPTIONS) -> None:
    """Add an option of the command line for each of these fields."""
    for name in names:
        one = INPUTS[name]
        flag = f"--{one.flag or name.replace('_', '-')}"
        parser.add_argument(flag, dest=name, default=DEFAULTS[name], type=one.parse, help=one.help)
