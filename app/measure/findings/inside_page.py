"""What was seen inside the models, as text: a part of `docs/findings.md`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from app.measure.findings.published import FIGURES
from app.measure.findings.tables_page import NOT_MEASURED
from app.render.measures import MEASURES
from app.render.table import markdown_table

NONE = "none"  # of a group without questions, or of a layer without values
SOURCES = {"visual": "visual tokens", "text": "the question", "last": "the answering row"}
QUARTERS = ("first", "second", "third", "last")
GROUPS = ("boxes", "questions")
PAPERS = {"boxes": "RefCOCO", "questions": "GQA", "mmb": "MMB"}  # the paper's three columns
SHOWN = {  # by title
    **{
        MEASURES[name].title: name
        for name in ("answer_flow", "answer_gradient_flow", "text_flow", "entropy_share")
    },
    MEASURES["cohesion"].title: "cohesion",
    f"{MEASURES['cohesion'].title}, random tokens": MEASURES["cohesion"].baseline,
}


def blocking_text(found: dict[str, Any]) -> str:
    """Blocked attention by model: our shares of right answers beside the paper's, and claims."""
    return "\n\n".join(map(_blocked, found.values())) or NOT_MEASURED


def curves_text(found: dict[str, Any]) -> str:
    """Mean curves over the layers by model and lane."""
    return "\n\n".join(map(_curves, found.values())) or NOT_MEASURED


def _blocked(report: dict[str, Any]) -> str:
    paper = json.loads(FIGURES.read_text(encoding="utf-8"))["blocking"]
    asked = report["asked"]
    scope = (
        f"**{report['model']}**: {asked['boxes']} boxes and {asked['questions']} questions about "
        f"{report['uploads']} uploads."
    )
    parts = [scope, _table(report, paper), _claims(report["claims"], paper)]
    for lane, found in report.get("compressed", {}).items():
        about = (
            f"The same questions to {report['model']} with the visual tokens of `{lane}`; 100 % is "
            "its own share of right answers with nothing blocked. The paper has all visual tokens."
        )
        parts += [about, _table(found, paper), _claims(found["claims"], paper)]
    return "\n\n".join(parts)


def _table(report: dict[str, Any], paper: dict[str, Any]) -> str:
    opened, original = report["open"], paper["original"]
    rows = [
        [
            "nothing",
            "",
            *_cells(opened, opened),
            "1.00",
            "1.00",
            *_cells(original, original, PAPERS),
        ]
    ]
    for cell in report["cells"]:
        source, quarter = cell["source"], cell["quarter"]
        theirs = {name: paper[source][name][quarter] for name in original}
        ours, papers = _cells(cell, opened), _cells(theirs, original, PAPERS)
        ratios = (_number(cell["ratios"][name], ".2f") for name in GROUPS)
        rows.append([SOURCES[source], QUARTERS[quarter], *ours, *ratios, *papers])
    head = ["sees no visual tokens", "quarter of the LLM", "boxes", "questions"]
    head += ["×, boxes", "×, questions"]
    return markdown_table([*head, *(f"paper, {name}" for name in PAPERS.values())], rows)


def _cells(
    rates: dict[str, Any], whole: dict[str, Any], names: Iterable[str] = GROUPS
) -> list[str]:
    """Shares right, in per cent of those right with nothing blocked; none if nothing is right."""
    shares = ((rates[name], whole[name]) for name in names)
    return [f"{100 * part / of:.0f} %" if of else NONE for part, of in shares]


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _claims(claims: list[dict[str, Any]], paper: dict[str, Any]) -> str:
    rows = []
    for row in claims:
        name, cells = row["of"], (row["first"], row["second"])
        figures = [
            paper["original"][name] if cell is None else paper[cell[0]][name][cell[1]]
            for cell in cells
        ]
        ours = " against ".join(_number(share, ".3f") for share in row["shares"])
        theirs = " against ".join(f"{figure:.1f}" for figure in figures)
        claim = f"blocking {_named(cells[0])} makes more {name} wrong than {_named(cells[1])}"
        p = "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
        rows.append([claim, theirs, ours, p, f"**{row['verdict']}**"])
    return markdown_table(["claim of the paper", "its figures", "ours", "p", "verdict"], rows)


def _named(cell: tuple[str, int] | None) -> str:
    if cell is None:
        return "blocking nothing"
    return f"{SOURCES[cell[0]]} → visual in the {QUARTERS[cell[1]]} quarter"


def _curves(report: dict[str, Any]) -> str:
    rows, depth = [], 0
    for lane, parts in report["curves"].items():
        for part, curves in parts.items():
            for title, name in SHOWN.items():
                if name not in curves:
                    continue
                depth = max(depth, len(curves[name]))
                encoder = part == "encoder"
                where = title + (", encoder" if encoder else "")
                of = "all" if encoder else lane
                rows.append([where, of, *(_number(value, ".2g") for value in curves[name])])
    rows.sort(key=lambda row: row[0])
    filled = [row + ["–"] * (depth + 2 - len(row)) for row in rows]
    table = markdown_table(["measure", "lane", *map(str, range(depth))], filled)
    text = f"**{report['model']}**, mean over all questions:\n\n{table}"
    return text + _differences(report["differences"]) if "differences" in report else text


def _differences(tested: list[dict[str, Any]]) -> str:
    """Each lane against vanilla on the same questions."""
    rows = [
        [
            MEASURES[row["curve"]].title + (", above random" if row["curve"] == "cohesion" else ""),
            row["lane"],
            f"{row['questions']} {row['of']}",
            f"{row['value']:.2g} against {row['vanilla']:.2g}",
            f"{row['difference']:+.2g} ({row['interval'][0]:+.2g} to {row['interval'][1]:+.2g})",
            "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}",
            f"**{row['verdict']}**",
        ]
        for row in tested
    ]
    head = ["measure", "lane", "asked", "lane against vanilla", "difference", "p", "verdict"]
    return (
        "\n\nThe same curves as means over the LLM's layers, in pairs of a lane and vanilla on the "
        "same question. In brackets: the 95 % bootstrap interval over uploads. p: random signs of "
        "uploads, with Holm's correction over the table. Fewer visual tokens receive less "
        "attention in sum, whichever they are.\n\n" + markdown_table(head, rows)
    )
