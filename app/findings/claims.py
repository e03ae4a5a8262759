"""What the papers say that these models can put to the test, each as a pair of lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.findings.answered import Answered
from app.findings.paired import LEVEL, holm
from app.findings.study import Lane, numbered


@dataclass(frozen=True)
class Claim:
    """The first lane is right more often than the second about what is asked."""

    text: str
    paper: str  # its own figures, and where they stand
    model: str
    first: Lane
    second: Lane
    asked: str  # "box", "question" or "every"


_FINDING_1 = "Nüwa, Finding 1, RefCOCO test at 128 tokens"
_FIX = "Nüwa, position fix, RefCOCO test at 128 tokens"
_TABLE = "Nüwa, grounding table, RefCOCO test at 128 tokens"
_FLASH = "FlashVID, relative accuracy on LLaVA-OneVision"


def _picture(text: str, paper: str, first: Lane, second: Lane) -> Claim:
    return Claim(text, paper, "embedded-image", first, second, "box")


def _clips(other: str, title: str, paper: str, ratio: float) -> tuple[Claim, Claim]:
    """The claim as published, and with the numbering taken out of the comparison."""
    text, source = f"FlashVID answers more than {title} at {100 * ratio:g} %", f"{_FLASH}: {paper}"
    published = Lane("flashvid", ratio), Lane(other, ratio)
    alike = numbered("flashvid", ratio, "pesp"), numbered(other, ratio, "pesp")
    return (
        Claim(text, source, "embedded-video", *published, "every"),
        Claim(f"{text}, both with PESP", source, "embedded-video", *alike, "every"),
    )


CLAIMS = (
    _picture(
        "Pooling grounds more than VisionZip's selection at 22 %",
        f"{_FINDING_1}: 23.0 against 4.5",
        Lane("pooling", 0.222),
        Lane("visionzip", 0.222),
    ),
    _picture(
        "Pooling grounds more than FastV's selection at 22 %",
        f"{_FINDING_1}: 23.0 against 10.3",
        Lane("pooling", 0.222),
        Lane("fastv", 0.222),
    ),
    _picture(
        "Nüwa grounds more than VisionZip at 22 %",
        f"{_TABLE}: 45.1 against 4.5",
        Lane("nuwa", 0.222),
        Lane("visionzip", 0.222),
    ),
    _picture(
        "Nüwa grounds more than FastV at 22 %",
        f"{_TABLE}: 45.1 against 10.3",
        Lane("nuwa", 0.222),
        Lane("fastv", 0.222),
    ),
    _picture(
        "RPME instead of PERC lets VisionZip ground more at 22 %",
        f"{_FIX}: 21.4 against 4.5",
        numbered("visionzip", 0.222, "rpme"),
        numbered("visionzip", 0.222, "perc"),
    ),
    _picture(
        "RPME instead of PESP lets FastV ground more at 22 %",
        f"{_FIX}: 13.4 against 10.3",
        numbered("fastv", 0.222, "rpme"),
        numbered("fastv", 0.222, "pesp"),
    ),
    *_clips("visionzip", "VisionZip", "100.3 against 99.7 %", 0.25),
    *_clips("fastvid", "FastVID", "100.3 against 99.0 %", 0.25),
    *_clips("visionzip", "VisionZip", "99.1 against 92.5 %", 0.10),
    *_clips("fastvid", "FastVID", "99.1 against 97.8 %", 0.10),
)


def judged(answered: dict[str, Answered], claims: Sequence[Claim] = CLAIMS) -> list[dict]:
    """Each claim with both rates, its p-value adjusted for their number, and the verdict."""
    rows: list[dict] = []
    for claim in claims:
        told = answered[claim.model]
        refusal = told.refused(claim.first) or told.refused(claim.second)
        if refusal:
            rows.append({"claim": claim.text, "paper": claim.paper, "refused": refusal})
            continue
        asked = {"box": told.box, "question": ~told.box, "every": told.every}[claim.asked]
        rows.append(
            {
                "claim": claim.text,
                "paper": claim.paper,
                "first": told.rate(claim.first, asked),
                "second": told.rate(claim.second, asked),
            }
            | told.against(claim.first, claim.second, asked)
        )
    tested = [row for row in rows if "p" in row]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        more = row["first_alone"] > row["second_alone"]
        row["p_holm"] = p
        row["verdict"] = "not decided" if p >= LEVEL else "holds" if more else "the reverse"
    return rows
