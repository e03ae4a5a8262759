"""Claims of papers, and our own, as pairs of lanes; each is tested on the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from app.measure.findings.lanes import FLOOR, PESP_RATIOS, PICTURE_RATIOS, VANILLA, Lane, numbered
from app.measure.findings.rates import Rates
from app.significance import LEVEL, holm, verdict


@dataclass(frozen=True)
class Claim:
    """The first lane is right more often than the second, on boxes or on questions."""

    family: str  # the paper, or "ours"; Holm's method adjusts within a family and a model
    text: str
    figures: str  # those of the paper, and their place in it
    model: str
    first: Lane
    second: Lane
    boxes: bool


_FINDING_1 = "Finding 1, RefCOCO test, 128 tokens"
_TABLE = "grounding, RefCOCO test, 128 tokens"
_FIX = "position fix, RefCOCO test, 128 tokens"
_OF = "of 58.3 with all"


def _nuwa(text: str, figures: str, first: Lane, second: Lane) -> Claim:
    return Claim("Nüwa", text, f"{figures} {_OF}", "embedded-image", first, second, boxes=True)


def _flashvid(other: str, title: str, figures: str, ratio: float) -> Claim:
    text = f"FlashVID answers more questions than {title} at {100 * ratio:g} %"
    shown = f"LLaVA-OneVision, share of vanilla's score: {figures} %"
    lanes = Lane("flashvid", ratio), Lane(other, ratio)
    return Claim("FlashVID", text, shown, "embedded-video", *lanes, boxes=False)


def _ours_on_pictures(text: str, first: str, second: str, ratio: float) -> Claim:
    lanes = Lane(first, ratio), Lane(second, ratio)
    text = f"{text} at {100 * ratio:.0f} %"
    return Claim("ours", text, "", "embedded-image", *lanes, boxes=True)


def _ours_on_clips(other: str, title: str, ratio: float) -> Claim:
    """FlashVID's claim with the same numbering for both methods."""
    lanes = numbered("flashvid", ratio, "pesp"), numbered(other, ratio, "pesp")
    text = f"FlashVID answers more questions than {title} at {100 * ratio:g} %, both with PESP"
    return Claim("ours", text, "", "embedded-video", *lanes, boxes=False)


CLAIMS = (
    _nuwa(
        "Pooling grounds more than VisionZip's selection at 22 %",
        f"{_FINDING_1}: 23.0 against 4.5",
        Lane("pooling", 0.222),
        Lane("visionzip", 0.222),
    ),
    _nuwa(
        "Pooling grounds more than FastV's selection at 22 %",
        f"{_FINDING_1}: 23.0 against 10.3",
        Lane("pooling", 0.222),
        Lane("fastv", 0.222),
    ),
    _nuwa(
        "Nüwa grounds more than VisionZip at 22 %",
        f"{_TABLE}: 45.1 against 4.5",
        Lane("nuwa", 0.222),
        Lane("visionzip", 0.222),
    ),
    _nuwa(
        "Nüwa grounds more than FastV at 22 %",
        f"{_TABLE}: 45.1 against 10.3",
        Lane("nuwa", 0.222),
        Lane("fastv", 0.222),
    ),
    _nuwa(
        "RPME instead of PERC lets VisionZip ground more at 22 %",
        f"{_FIX}: 21.4 against 4.5",
        numbered("visionzip", 0.222, "rpme"),
        numbered("visionzip", 0.222, "perc"),
    ),
    _nuwa(
        "RPME instead of PESP lets FastV ground more at 22 %",
        f"{_FIX}: 13.4 against 10.3",
        numbered("fastv", 0.222, "rpme"),
        numbered("fastv", 0.222, "pesp"),
    ),
    _flashvid("visionzip", "VisionZip", "100.3 against 99.7", 0.25),
    _flashvid("fastvid", "FastVID", "100.3 against 99.0", 0.25),
    _flashvid("visionzip", "VisionZip", "99.1 against 92.5", 0.10),
    _flashvid("fastvid", "FastVID", "99.1 against 97.8", 0.10),
    *(
        _ours_on_pictures("Nüwa grounds more than an even grid", "nuwa", "grid", ratio)
        for ratio in PICTURE_RATIOS
    ),
    *(
        _ours_on_pictures("FastV grounds more than an even grid", "fastv", "grid", ratio)
        for ratio in PICTURE_RATIOS[:2]
    ),
    *(
        _ours_on_clips(other, title, ratio)
        for ratio in PESP_RATIOS
        for other, title in (("visionzip", "VisionZip"), ("fastvid", "FastVID"), ("ttm", "TTM"))
    ),
)


def judge_claims(rates: dict[str, Rates], claims: Sequence[Claim] = CLAIMS) -> list[dict]:
    """Rates, adjusted p-value and verdict of each claim on the models of `rates`."""
    rows = [_test(rates[claim.model], claim) for claim in claims if claim.model in rates]
    for _, family in groupby(rows, lambda row: (row["family"], row["model"])):
        tested = [row for row in family if not row["refused"]]
        for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
            more = row["first_alone"] > row["second_alone"]
            row["p_holm"] = p
            row["verdict"] = verdict(more, p)
            if row.pop("floored") and p >= LEVEL:
                row["verdict"] = "not decided: both no better than with next to nothing kept"
    return rows


def _test(rates: Rates, claim: Claim) -> dict:
    refused = rates.refused(claim.first) or rates.refused(claim.second)
    row = {"family": claim.family, "model": claim.model, "claim": claim.text}
    row |= {"figures": claim.figures, "refused": refused}
    if refused:
        return row
    asked, lanes = rates.box if claim.boxes else ~rates.box, (claim.first, claim.second)
    found = [rates.rate(lane, asked) for lane in (*lanes, VANILLA)]
    return (
        row
        | dict(zip(("first", "second", "vanilla"), found, strict=True))
        | rates.compare(*lanes, asked)
        | {"floored": all(rates.compare(lane, FLOOR, asked)["p"] >= LEVEL for lane in lanes)}
    )
