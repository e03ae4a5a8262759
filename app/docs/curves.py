"""Draws the training curves of the embedded models from the logs of their stages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import mean
from typing import Any

import altair as alt

from app.render.chart import INK, PRINT_WIDTH, STYLE, Spec, chart_svg
from app.render.palette import LANE_COLOURS
from app.settings import ROOT

FOLDER = ROOT / "models" / "embedded"
MODELS = ("image", "video")
STAGES = ("encoder", "answers", "words")  # in the order of a round; other stages follow
SHARES = {
    "patch_accuracy": "object patches named right by the encoder",
    "kind_right": "object tokens named right in the LLM",
    "coordinate_near": "coordinates within 0.05",
    "words_right": "words right",
}
AROUND = 5  # logged steps on either side in a moving average
HEIGHT = 200


@dataclass(frozen=True)
class Stage:
    """The log of one stage: one line for each step, with its measurements."""

    name: str  # such as "answers-2", in the second round
    lines: tuple[dict[str, float], ...]

    @property
    def steps(self) -> int:
        return int(self.lines[-1]["step"]) + 1

    @property
    def seconds(self) -> float:
        return self.lines[-1]["seconds"]


def draw(logs: Path = FOLDER / "logs", out: Path = FOLDER) -> Iterator[Path]:
    """Draw `curves-image.svg` and `curves-video.svg`."""
    for model in MODELS:
        path = out / f"curves-{model}.svg"
        chart_svg(chart(stages(logs / model)), path)
        yield path


def stages(folder: Path) -> list[Stage]:
    """The stages of a model in the order of training: by round, the encoder first."""
    names = sorted((path.stem for path in folder.glob("*.jsonl")), key=_order)
    if not names:
        raise ValueError(f"{folder} holds no *.jsonl, wanted the log of a training.")
    return [Stage(name, _lines((folder / f"{name}.jsonl").read_text())) for name in names]


def _order(name: str) -> tuple[int, int, str]:
    """Sort key: the round (2 for "answers-2", 1 for "answers"), then the stage."""
    stage, turn = re.fullmatch(r"(.*?)(?:-(\d+))?", name).groups()  # type: ignore[union-attr]
    return int(turn or 1), STAGES.index(stage) if stage in STAGES else len(STAGES), stage


def _lines(text: str) -> tuple[dict[str, float], ...]:
    """One line for each step. A resumed run repeats its last steps; the later lines count."""
    by_step = {line["step"]: line for line in map(json.loads, text.splitlines())}
    return tuple(by_step[step] for step in sorted(by_step))


def points(ran: Sequence[Stage], keys: Iterable[str]) -> list[dict[str, Any]]:
    """A record for each logged value of the keys, raw and smoothed within its stage."""
    records = []
    for stage, start in zip(ran, _starts(ran), strict=True):
        for key in keys:
            logged = [line for line in stage.lines if key in line]
            values = [line[key] for line in logged]
            for line, value, smooth in zip(logged, values, smoothed(values), strict=True):
                records.append(
                    {
                        "stage": stage.name,
                        "what": SHARES.get(key, key),
                        "step": start + line["step"],
                        "value": value,
                        "smooth": smooth,
                    }
                )
    return records


def _starts(ran: Sequence[Stage]) -> list[int]:
    """Steps before each stage."""
    return list(accumulate((stage.steps for stage in ran), initial=0))[:-1]


def smoothed(values: Sequence[float]) -> list[float]:
    """Moving average over `AROUND` neighbours on either side, fewer at the ends."""
    return [mean(values[max(0, i - AROUND) : i + AROUND + 1]) for i in range(len(values))]


def chart(ran: Sequence[Stage]) -> Spec:
    """The loss above and the shares below, over all steps, with a line at each stage."""
    steps, losses = sum(stage.steps for stage in ran), points(ran, ["loss"])
    logged = {key for stage in ran for line in stage.lines for key in line}
    shares = points(ran, [key for key in SHARES if key in logged])
    upper, lower = _steps(steps, title=None), _steps(steps, title="steps, stage after stage")
    loss = alt.Y(
        "value:Q",
        title="loss",
        scale=alt.Scale(type="log", domain=_range(losses), nice=False),
        axis=alt.Axis(values=[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]),
    )
    share = alt.Y("value:Q", title="share right", scale=alt.Scale(domain=[0, 1]))
    above = alt.layer(_beginnings(ran, upper), _names(ran, upper), *_curves(losses, upper, loss))
    below = alt.layer(_beginnings(ran, lower), *_curves(shares, lower, share))
    panels = [panel.properties(width=PRINT_WIDTH, height=HEIGHT) for panel in (above, below)]
    hours = sum(stage.seconds for stage in ran) / 3600
    about = (
        f"{steps:,} steps in {hours:.1f} h · faint: as logged · "
        f"line: mean of {2 * AROUND + 1} logged steps"
    )
    stacked = alt.vconcat(*panels).resolve_scale(color="independent")
    return {**stacked.to_dict(), "config": STYLE, "usermeta": {"conditions": about}}


def _steps(last: int, title: str | None) -> Any:
    return alt.X(
        "step:Q",
        title=title,
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(grid=False, format=",d", tickCount=8),
    )


def _range(losses: list[dict[str, Any]]) -> list[float]:
    values = [loss["value"] for loss in losses]
    return [0.9 * min(values), 1.1 * max(values)]


def _curves(values: list[dict[str, Any]], x: Any, y: Any) -> list[Any]:
    """Logged values, faint, under smoothed lines; stages are not connected."""
    names = list(dict.fromkeys(value["what"] for value in values))
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=names, range=list(LANE_COLOURS[: len(names)])),
        legend=None
        if names == ["loss"]
        else alt.Legend(title=None, orient="bottom", columns=2, labelLimit=0, symbolOpacity=1),
    )
    lines = alt.Chart(alt.Data(values=values)).encode(x=x, color=colour, detail="stage:N")
    smooth = y.copy()
    smooth.shorthand = "smooth:Q"
    raw = lines.mark_line(strokeWidth=1, opacity=0.3).encode(y=y)
    return [raw, lines.mark_line(strokeWidth=2).encode(y=smooth)]


def _beginnings(ran: Sequence[Stage], x: Any) -> Any:
    """A vertical line at the start of each stage."""
    records = [{"step": start} for start in _starts(ran)]
    rule = alt.Chart(alt.Data(values=records)).mark_rule(color=INK, opacity=0.4, strokeDash=[3, 3])
    return rule.encode(x=x)


def _names(ran: Sequence[Stage], x: Any) -> Any:
    """The names of the stages above those lines, slanted so that short stages have room."""
    records = [
        {"step": start, "name": stage.name} for stage, start in zip(ran, _starts(ran), strict=True)
    ]
    text = alt.Chart(alt.Data(values=records)).mark_text(
        align="left", angle=330, dx=4, dy=-4, fontSize=10, color=INK
    )
    return text.encode(x=x, y=alt.value(0), text="name:N")
