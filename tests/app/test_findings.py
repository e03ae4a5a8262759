"""The findings: statistics, claims, tables, and the page of the checkout."""

import json

import numpy as np
import pytest

from app import significance
from app.measure.asking import ANSWERING, Answer, Refusal
from app.measure.findings import answers, charts, page, report, write
from app.measure.findings.answers import Record
from app.measure.findings.claims import CLAIMS, Claim, judge_claims
from app.measure.findings.lanes import (
    CLIP_METHODS,
    FLOOR,
    PICTURE_METHODS,
    PUBLISHED,
    VANILLA,
    Lane,
    numbered,
)
from app.measure.findings.rates import Rates
from app.measure.findings.study import SEEDS, studies
from app.settings import ROOT, Settings
from app.significance import holm, interval, mcnemar
from models.embedded.world import clip_questions
from pruning.methods import create

LANE = Lane("visionzip", 0.222)
PLAN = studies(write.PICTURES, write.CLIPS)


def answer(right):
    return Answer("", "x", None, bool(right), 0.2, {"processed": 576.0})


def records(right, lanes=(VANILLA, FLOOR, LANE)):
    """One box and one other question about each upload; `right(lane, box, index)` decides."""
    return [
        Record(
            seed,
            100 * seed + index,
            box,
            index < 5,
            {lane.key: answer(right(lane, box, index)) for lane in lanes},
        )
        for seed in SEEDS
        for index in range(10)
        for box in (True, False)
    ]


def test_mcnemar_is_the_exact_binomial_test_of_the_questions_that_differ():
    first = np.array([True] * 10 + [False] * 2 + [True] * 30)
    second = np.array([False] * 10 + [True] * 2 + [True] * 30)
    ours, theirs, p = mcnemar(first, second)
    assert (ours, theirs) == (10, 2) and p == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert mcnemar(first, first) == (0, 0, 1.0)


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_the_bootstrap_interval_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).random(400) < 0.3
    low, high = interval(lambda drawn: float(values[drawn].mean()), len(values))
    assert low < values.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_losing_all_boxes_and_no_question_is_a_loss_beyond_questions_of_one():
    def right(lane, box, index):
        return lane == VANILLA or (lane == LANE and not box)

    lost = Rates(records(right)).lost(LANE)
    assert lost == {"questions": 0.0, "grounding": 1.0, "low": 1.0, "high": 1.0}


def test_a_rate_is_the_mean_of_the_seeds_and_its_spread_is_theirs():
    rates = Rates(records(lambda lane, box, index: index < 4))
    assert rates.rate(LANE, rates.box) == pytest.approx({"mean": 0.4, "spread": 0.0})
    assert rates.rate(LANE, rates.moving)["mean"] == pytest.approx(0.8)
    assert rates.rate(LANE, rates.still)["mean"] == 0


def claim(first, second, **changes):
    values = {"family": "ours", "text": "more", "figures": "", "model": "m", "boxes": True}
    return Claim(**values | changes, first=first, second=second)


@pytest.mark.parametrize(
    ("first", "verdict"), [(10, "holds"), (0, "the reverse"), (5, "not decided")]
)
def test_a_claim_is_decided_by_its_test_in_either_direction(first, verdict):
    rates = Rates(
        records(lambda lane, box, index: lane != FLOOR and (index < first) is (lane == VANILLA))
    )
    (row,) = judge_claims({"m": rates}, [claim(VANILLA, LANE)])
    assert row["verdict"] == verdict


def test_two_methods_that_see_nothing_are_called_so():
    rates = Rates(records(lambda lane, box, index: index == 0))
    (row,) = judge_claims({"m": rates}, [claim(LANE, VANILLA)])
    assert row["verdict"] == "not decided: both no better than with next to nothing kept"


def test_a_claim_about_questions_hears_no_boxes():
    rates = Rates(records(lambda lane, box, index: box is (lane == VANILLA)))
    rows = judge_claims(
        {"m": rates}, [claim(VANILLA, LANE, boxes=boxes) for boxes in (True, False)]
    )
    assert [row["verdict"] for row in rows] == ["holds", "the reverse"]


def test_each_paper_is_a_family_of_its_own():
    rates = Rates(records(lambda lane, box, index: (index < 8) is (lane == VANILLA)))
    one = judge_claims({"m": rates}, [claim(VANILLA, LANE)])[0]["p_holm"]
    both = judge_claims({"m": rates}, [claim(VANILLA, LANE), claim(VANILLA, LANE)])[0]["p_holm"]
    apart = judge_claims({"m": rates}, [claim(VANILLA, LANE), claim(VANILLA, LANE, family="x")])
    assert both == pytest.approx(2 * one) and apart[0]["p_holm"] == pytest.approx(one)


def test_a_claim_about_a_method_that_refuses_says_why():
    answered = records(lambda lane, box, index: True)
    for record in answered:
        record.answers[LANE.key] = Refusal("too low")
    (row,) = judge_claims({"m": Rates(answered)}, [claim(LANE, VANILLA)])
    assert row["refused"] == "too low" and "verdict" not in row


def test_the_table_of_drops_says_for_each_method_what_falls_further(monkeypatch):
    monkeypatch.setattr(significance, "DRAWS", 100)

    def right(lane, box, index):
        return lane == VANILLA or (lane != FLOOR and box is (lane.method == "nuwa"))

    rows = report.drops(Rates(records(right, PLAN[0].lanes)))
    falls = {row["method"]: row["falls"] for row in rows if "falls" in row}
    assert falls == {**dict.fromkeys(PICTURE_METHODS, "boxes"), "nuwa": "questions"}


def test_the_table_of_positions_compares_numberings_of_the_same_survivors():
    found = numbered("visionzip", 0.222, "rpme"), numbered("fastv", 0.222, "pesp")

    def right(lane, box, index):
        return box and lane in found

    rows = report.positions(Rates(records(right, PLAN[0].lanes)))
    shares = {
        (row["method"], name): row[name]["grounding"]["mean"]
        for row in rows
        if row["retention_ratio"] == 0.222
        for name in ("perc", "pesp", "rpme")
    }
    assert {pair for pair, share in shares.items() if share} == {
        ("visionzip", "rpme"),
        ("fastv", "pesp"),
    }
    (row,) = (row for row in rows if (row["method"], row["retention_ratio"]) == ("fastv", 0.222))
    assert row["tests"]["rpme_pesp"]["second_alone"] == 30 and row["tests"]["rpme_perc"]["p"] == 1


def test_the_table_of_clips_sets_each_lane_beside_flashvid_of_its_numbering():
    def right(lane, box, index):
        return lane == Lane("flashvid", 0.1, "pesp") and index < 5

    rows = report.on_clips(Rates(records(right, PLAN[1].lanes)))
    won = {
        (row["method"], row["positions"], row["retention_ratio"])
        for row in rows
        if row.get("flashvid", {}).get("moving", {}).get("first_alone")
    }
    assert won == {(m, "pesp", 0.1) for m in CLIP_METHODS if m != "flashvid"}
    best = max(rows, key=lambda row: row["moving"]["mean"])
    assert (best["method"], best["positions"], best["retention_ratio"]) == ("flashvid", "pesp", 0.1)
    assert (best["moving"]["mean"], best["still"]["mean"]) == (1, 0)


def test_the_clip_decides_whether_an_object_moves():
    moved = {True: 0, False: 0}
    for clip, question in clip_questions.evaluation_questions(60, 500):
        moves = answers.moves(clip, question)
        if question.sort == "motion" or len(question.subjects) != 1:
            assert moves is None
        else:
            actor = clip.actors[question.subjects[0]]
            assert moves is (actor.start != actor.stop)
            moved[moves] += 1
    assert min(moved.values()) > 5


def test_random_selection_draws_anew_for_every_upload():
    lanes = [Lane("random", 0.222).create(seed, index) for seed, index in PLAN[0].uploads()]
    assert len({lane.seed for lane in lanes}) == len(lanes)


def test_a_trial_does_not_replace_the_page_and_no_count_is_below_one(tmp_path):
    with pytest.raises(ValueError, match="name a folder: --out"):
        write.findings(2, 1, None, Settings())
    with pytest.raises(ValueError, match="wanted 1 or more"):
        write.findings(0, 1, tmp_path, Settings())


def test_every_claim_is_about_lanes_that_run():
    lanes = {study.model: study.lanes for study in PLAN}
    for claim in CLAIMS:
        assert {claim.first, claim.second} <= set(lanes[claim.model]), claim.text


def test_no_lane_runs_twice_and_the_published_numbering_is_the_methods_own():
    for study in PLAN:
        assert len({lane.key for lane in study.lanes}) == len(study.lanes)
        assert len({repr(lane.create(1, 7)) for lane in study.lanes}) == len(study.lanes)
    for name, strategy in PUBLISHED.items():
        published = create(name).published
        acts = published.inner if name == "fastv" else published.before
        assert acts.value == strategy
        assert numbered(name, 0.222, strategy) == Lane(name, 0.222)


def test_uploads_of_one_seed_are_not_those_of_another_nor_of_the_bench():
    for study in PLAN:
        indices = [index for _, index in study.uploads()]
        assert len(set(indices)) == len(indices) == len(SEEDS) * study.count
        assert min(indices) >= 100_000 > 1000, "the bench asks of the first 1,000"


def test_the_fingerprint_covers_files_that_exist():
    for path in (*ANSWERING, *answers.CODE):
        assert (ROOT / path).exists(), path


def test_the_page_in_the_checkout_is_the_one_its_json_gives():
    told = json.loads((ROOT / write.RESULTS).read_text())
    assert page.markdown(told) == (ROOT / write.PAGE).read_text()
    assert page.markdown(write.stored(ROOT / write.RESULTS)) == page.markdown(told)


def test_the_json_in_the_checkout_is_of_the_weights_in_the_checkout():
    told = json.loads((ROOT / write.RESULTS).read_text())
    weights = {study.model: answers.weights_of(study) for study in PLAN}
    assert told["models"]
    for part in ("models", "inside"):
        for name, model in told[part].items():
            assert model["weights"] == weights[name], (part, name)


def test_one_model_is_asked_and_the_results_of_the_other_s_present_weights_stay(monkeypatch):
    def count(rates):
        return [{"model": name} for name in rates]

    for name in ("judge_claims", "count_tables"):
        monkeypatch.setattr(report, name, count)
    for parts in report.PARTS.values():
        for name in parts:
            monkeypatch.setitem(parts, name, lambda rates: [len(rates.records)])
    monkeypatch.setattr(report, "ask_study", lambda study, *_: (records(lambda *_: True), {}))
    both, pictures = (report.report(asked, None, Settings()) for asked in (PLAN, PLAN[:1]))
    assert (pictures["clips"], pictures["claims"]) == ([], [{"model": "embedded-image"}])
    assert report.combined(pictures, both) == both
    stale = both | {"models": {"embedded-image": both["models"]["embedded-image"]}}
    kept = report.combined(report.NOTHING, stale)
    assert (kept["drops"], kept["clips"], kept["tables"]) == ([60], [], pictures["tables"])


def test_what_is_not_measured_is_named_on_the_page_and_has_no_chart(tmp_path):
    text = page.markdown(report.NOTHING)
    assert text.count("Not measured yet") > 5 and ".svg" not in text
    assert list(charts.draw(report.NOTHING, tmp_path)) == []
