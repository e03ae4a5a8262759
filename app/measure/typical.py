"""How often the page's default methods are right together, over unseen scenes or clips.

What the examples show is chosen in these shares, so that a visitor first sees what is typical.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from app.drawn import draw_questions, truth_of
from app.jobs import LANES, lanes_at
from app.measure.asking import Answer, Answers, Case, Processes, ask_all, fingerprint
from app.render.table import markdown_table
from app.settings import ROOT, Settings
from models.catalog import find
from models.weights import identify
from pruning.methods import METHODS, create

MODELS = {"image": "embedded-image", "video": "embedded-video"}
RATIOS = (0.333, 0.222, 0.111)
FIRST = 700_000  # number of the first scene or clip; nothing else is measured on these
ANSWERS = ROOT / "out" / "typical"
RESULTS = ROOT / "assets" / "results"
CODE = ("app/drawn.py", "app/measure/typical.py")
KINDS = ("split", "baseline", "hold", "lost")
BASELINES = {method.name for method in METHODS if not method.paper}


def result_of(kind: str) -> Path:
    """The file of the stored report."""
    return RESULTS / f"typical-{kind}.json"


def read(kind: str) -> dict[str, Any]:
    """The stored report.

    Raises:
        ValueError: It is of other weights than the present ones.
    """
    found: dict[str, Any] = json.loads(result_of(kind).read_text(encoding="utf-8"))
    present = identify(find(found["model"]))
    if found["weights"] != present:
        raise ValueError(
            f"{result_of(kind).name} is of weights {found['weights']}, wanted {present}: run "
            f"`python -m app typical --kind {kind}`."
        )
    return found


def kind_of(right: str, methods: int) -> str:
    """What a comparison shows, one of `KINDS`.

    Args:
        right: Names of the methods that are right, joined by "+".
        methods: Number of methods beside vanilla.
    """
    winners = set(filter(None, right.split("+")))
    if len(winners) in (0, methods):
        return "hold" if winners else "lost"
    return "baseline" if winners <= BASELINES else "split"


def typical(kind: str, count: int, settings: Settings, jobs: int | None = None) -> dict[str, Any]:
    """Asks two questions about each of `count` uploads under every lane; counts who is right.

    Goes on where an earlier run of the same code and weights was stopped.

    Args:
        kind: "image" or "video".
        jobs: Processes of one thread each; one a core by default.
    """
    if count < 1:
        raise ValueError(f"{count} uploads came, wanted at least 1.")
    model, names = MODELS[kind], LANES[kind]
    lanes = list(lanes_at(names, RATIOS, find(model).family, "published"))
    methods = (create("vanilla"), *(method for _, method in lanes))
    cases = [
        Case(f"{number}", media, question.text, methods, 24, 0.0, truth_of(question), question.sort)
        for number, (media, question, _) in enumerate(draw_questions(kind, count, FIRST))
    ]
    store = ANSWERS / f"{model}-{fingerprint(model, settings, *names, code=CODE)}.jsonl"
    with Processes(model, settings, jobs) as processes:
        conditions = processes.conditions()
        answers = ask_all(cases, processes.ask, store, model)
    boxed = [case.truth is not None and case.truth.box is not None for case in cases]
    groups = {
        box: [one for one, is_box in zip(answers, boxed, strict=True) if is_box is box]
        for box in (True, False)
    }
    at = {ratio: range(index, len(lanes), len(RATIOS)) for index, ratio in enumerate(RATIOS)}
    return {
        "model": model,
        "weights": identify(find(model)),
        "uploads": count,
        "first": FIRST,
        "methods": list(names),
        "conditions": conditions,
        "rows": [
            {"retention_ratio": ratio, "box": box} | counted(groups[box], at[ratio], names)
            for ratio, box in product(RATIOS, groups)
        ],
    }


def counted(
    answers: Sequence[Answers], lanes: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """Of the questions that vanilla answers right, how many each set of methods answers right.

    Args:
        lanes: Where the answer of each method is among those that follow vanilla's.
    """
    sets: Counter[str] = Counter()
    for vanilla, *others in answers:
        if is_right(vanilla):
            right = [
                name for name, lane in zip(names, lanes, strict=True) if is_right(others[lane])
            ]
            sets["+".join(right)] += 1
    return {"questions": len(answers), "vanilla": sets.total(), "right": dict(sets.most_common())}


def is_right(answer: Any) -> bool:
    return isinstance(answer, Answer) and answer.right


def table(report: dict[str, Any]) -> str:
    """For each ratio and sort of question, the sets of methods that are right, as shares."""
    lines = []
    for row in report["rows"]:
        for names, count in row["right"].items():
            shown = kind_of(names, len(report["methods"]))
            lines.append(
                (
                    f"{100 * row['retention_ratio']:.1f} %",
                    "box" if row["box"] else "other",
                    names.replace("+", ", ") or "none",
                    shown,
                    f"{100 * count / row['vanilla']:.0f} %",
                    f"{count} of {row['vanilla']}",
                )
            )
    head = ("kept", "question", "right beside vanilla", "shows", "share", "of those vanilla gets")
    return markdown_table(head, lines)
