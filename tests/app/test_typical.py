"""What is typical of unseen uploads: who is counted as right, and what the examples then show."""

from __future__ import annotations

from collections import Counter

import pytest

from app.docs.stories import Candidate, choose, first_view, quotas
from app.measure import typical
from app.measure.asking import Answer, Refusal
from app.request import DEFAULTS

NAMES = ("visionzip", "nuwa", "pooling")


def answer(right: bool) -> Answer:
    return Answer("", "x", None, right, 0.2, {})


def candidate(box: bool, kind: str, same: int = 0) -> Candidate:
    return Candidate("scene-1.png", None, (box, kind), same, 100)


def test_shares_of_other_weights_are_not_read(monkeypatch) -> None:
    monkeypatch.setattr(typical, "identify", lambda card: "other")
    with pytest.raises(ValueError, match="wanted other: run"):
        typical.read("image")


def test_only_questions_that_vanilla_answers_right_count_and_a_refusal_is_not_right() -> None:
    rows = ["1110", "1010", "1010", "0111"]
    answers = [[answer(right == "1") for right in row] for row in rows]
    answers[0][2] = Refusal("too low")
    found = typical.counted(answers, (0, 1, 2), NAMES)
    assert (found["questions"], found["vanilla"]) == (4, 3)
    assert found["right"] == {"nuwa": 2, "visionzip": 1}


@pytest.mark.parametrize(
    ("right", "kind"),
    [
        ("", "lost"),
        ("visionzip+nuwa+pooling", "hold"),
        ("pooling", "baseline"),
        ("nuwa", "split"),
        ("nuwa+pooling", "split"),
    ],
)
def test_a_comparison_is_named_by_who_is_right(right: str, kind: str) -> None:
    assert typical.kind_of(right, len(NAMES)) == kind


def test_the_examples_show_each_outcome_in_its_share() -> None:
    rows = {
        True: {"right": {"": 60, "nuwa": 20, "nuwa+pooling": 20}},
        False: {"right": {"visionzip+nuwa+pooling": 99, "nuwa": 1}},
    }
    wanted = quotas(rows, len(NAMES), 8)
    assert wanted == {
        (True, "lost"): 2,
        (True, "split"): 2,
        (False, "hold"): 4,
        (False, "split"): 0,
    }
    all_of_them = [candidate(*cell) for cell in wanted]
    chosen = choose([all_of_them] * 8, wanted)
    assert Counter(one.cell for one in chosen) == +wanted


def test_the_first_view_is_the_commonest_outcome_of_the_commonest_kind_of_boxes() -> None:
    boxes = {"right": {"": 35, "nuwa+pooling": 27, "nuwa": 16, "pooling": 20}}
    rare, common = candidate(True, "split", 16), candidate(True, "split", 27)
    others = [candidate(False, "hold", 90), candidate(True, "lost", 35)]
    assert first_view([*others, rare, common], boxes) is common


def test_at_the_ratio_of_the_page_the_commonest_outcome_is_that_some_methods_keep_the_box() -> None:
    """The smallest such ratio. On failure, after `make typical`: change it in app/request.py."""
    kinds = {}
    for row in typical.read("image")["rows"]:
        if row["box"]:
            kinds[row["retention_ratio"]] = counts = Counter()
            for names, count in row["right"].items():
                counts[typical.kind_of(names, len(NAMES))] += count
    differ = [ratio for ratio, counts in kinds.items() if counts.most_common(1)[0][0] == "split"]
    assert min(differ) == DEFAULTS["retention_ratio"]
