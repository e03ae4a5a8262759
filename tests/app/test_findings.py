"""The findings: the tests are the textbook's, nothing is asked twice, the page is the JSON's."""

import json

import numpy as np
import pytest

from app.measure.findings import answers, report, write
from app.measure.findings import document as page
from app.measure.findings.answered import Answered
from app.measure.findings.answers import EncodedOnce, finished
from app.measure.findings.claims import CLAIMS, Claim, judged
from app.measure.findings.paired import holm, interval, mcnemar
from app.measure.findings.study import (
    CLIP_METHODS,
    FLOOR,
    PICTURE_METHODS,
    PUBLISHED,
    SEEDS,
    VANILLA,
    Lane,
    numbered,
    studies,
)
from app.settings import ROOT, Settings
from models.embedded.world import clip_questions
from models.embedded.world.questions import evaluation_questions
from models.engine.pipeline import run_lane
from models.uploads.media import drawn
from pruning.methods import create
from tests.tiny import tiny_llava

LANE = Lane("visionzip", 0.222)


def records(right):
    """One box and one other question about each upload; `right(lane, box, index)` decides."""
    return [
        {"seed": seed, "index": 100 * seed + index, "sort": "x", "box": box, "moving": index < 5}
        | {
            "lanes": {
                lane.key: [right(lane, box, index), None, 0.2] for lane in (VANILLA, FLOOR, LANE)
            }
        }
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

    lost = Answered(records(right)).lost(LANE)
    assert lost == {"questions": 0.0, "grounding": 1.0, "low": 1.0, "high": 1.0}


def test_a_rate_is_the_mean_of_the_seeds_and_its_spread_is_theirs():
    told = Answered(records(lambda lane, box, index: index < 4))
    assert told.rate(LANE, told.box) == pytest.approx({"mean": 0.4, "spread": 0.0})
    assert told.rate(LANE, told.moving)["mean"] == pytest.approx(0.8)
    assert told.rate(LANE, told.still)["mean"] == 0


def claim(first, second, **changes):
    values = {"family": "ours", "text": "more", "figures": "", "model": "m", "boxes": True}
    return Claim(**values | changes, first=first, second=second)


@pytest.mark.parametrize(
    ("first", "verdict"), [(10, "holds"), (0, "the reverse"), (5, "not decided")]
)
def test_a_claim_is_decided_by_its_test_in_either_direction(first, verdict):
    told = Answered(
        records(lambda lane, box, index: lane != FLOOR and (index < first) is (lane == VANILLA))
    )
    (row,) = judged({"m": told}, [claim(VANILLA, LANE)])
    assert row["verdict"] == verdict


def test_two_methods_that_see_nothing_are_called_so():
    told = Answered(records(lambda lane, box, index: index == 0))
    (row,) = judged({"m": told}, [claim(LANE, VANILLA)])
    assert row["verdict"] == "not decided: both no better than with next to nothing kept"


def test_a_claim_about_questions_hears_no_boxes():
    told = Answered(records(lambda lane, box, index: box is (lane == VANILLA)))
    rows = judged({"m": told}, [claim(VANILLA, LANE, boxes=boxes) for boxes in (True, False)])
    assert [row["verdict"] for row in rows] == ["holds", "the reverse"]


def test_each_paper_is_a_family_of_its_own():
    told = Answered(records(lambda lane, box, index: (index < 8) is (lane == VANILLA)))
    one = judged({"m": told}, [claim(VANILLA, LANE)])[0]["p_holm"]
    both = judged({"m": told}, [claim(VANILLA, LANE), claim(VANILLA, LANE)])[0]["p_holm"]
    apart = judged({"m": told}, [claim(VANILLA, LANE), claim(VANILLA, LANE, family="x")])
    assert both == pytest.approx(2 * one) and apart[0]["p_holm"] == pytest.approx(one)


def test_a_claim_about_a_method_that_refuses_says_why():
    told = records(lambda lane, box, index: True)
    for record in told:
        record["lanes"][LANE.key] = "too low"
    (row,) = judged({"m": Answered(told)}, [claim(LANE, VANILLA)])
    assert row["refused"] == "too low" and "verdict" not in row


def everything(study, right):
    """Records of all the lanes of a study."""
    return [
        {"seed": seed, "index": 100 * seed + index, "sort": "x", "box": box, "moving": index < 5}
        | {"lanes": {lane.key: [right(lane, box, index), None, 0.2] for lane in study.lanes}}
        for seed in SEEDS
        for index in range(10)
        for box in (True, False)
    ]


def test_the_table_of_drops_says_for_each_method_what_falls_further():
    def right(lane, box, index):
        return lane == VANILLA or (lane != FLOOR and box is (lane.method == "nuwa"))

    rows = report.drops(Answered(everything(studies()[0], right)))
    falls = {row["method"]: row["falls"] for row in rows if "falls" in row}
    assert falls == {**dict.fromkeys(PICTURE_METHODS, "boxes"), "nuwa": "questions"}


def test_the_table_of_positions_compares_numberings_of_the_same_survivors():
    found = numbered("visionzip", 0.222, "rpme"), numbered("fastv", 0.222, "pesp")

    def right(lane, box, index):
        return box and lane in found

    rows = report.positions(Answered(everything(studies()[0], right)))
    shares = {
        (row["method"], name): row[name]["grounding"]["mean"]
        for row in rows
        if row["ratio"] == 0.222
        for name in ("perc", "pesp", "rpme")
    }
    assert {pair for pair, share in shares.items() if share} == {
        ("visionzip", "rpme"),
        ("fastv", "pesp"),
    }
    (row,) = (row for row in rows if (row["method"], row["ratio"]) == ("fastv", 0.222))
    assert row["tests"]["rpme_pesp"]["second_alone"] == 30 and row["tests"]["rpme_perc"]["p"] == 1


def test_the_table_of_clips_sets_each_lane_beside_flashvid_of_its_numbering():
    def right(lane, box, index):
        return lane == Lane("flashvid", 0.1, "pesp") and index < 5

    rows = report.on_clips(Answered(everything(studies()[1], right)))
    alone = {
        (row["method"], row["positions"], row["ratio"]): row["flashvid"]["moving"]["first_alone"]
        for row in rows
        if "flashvid" in row
    }
    won = {key for key, count in alone.items() if count}
    assert won == {(m, "pesp", 0.1) for m in CLIP_METHODS if m != "flashvid"}
    best = max(rows, key=lambda row: row["moving"]["mean"])
    assert (best["method"], best["positions"], best["ratio"]) == ("flashvid", "pesp", 0.1)
    assert (best["moving"]["mean"], best["still"]["mean"]) == (1, 0)


def test_what_moves_is_told_by_the_clip_and_not_by_the_question_that_gives_it_away():
    moved = {True: 0, False: 0}
    for clip, question in clip_questions.evaluation_questions(60, 500):
        told = answers.moving(clip, question)
        if question.sort == "motion" or len(question.subjects) != 1:
            assert told is None
        else:
            actor = clip.actors[question.subjects[0]]
            assert told is (actor.start != actor.stop)
            moved[told] += 1
    assert min(moved.values()) > 5


def test_random_selection_draws_anew_for_every_upload():
    lanes = [Lane("random", 0.222).create(seed, index) for seed, index in studies()[0].cases()]
    assert len({lane.seed for lane in lanes}) == len(lanes)


def test_a_trial_does_not_replace_the_page_and_no_count_is_below_one(tmp_path):
    with pytest.raises(ValueError, match="name a folder: --out"):
        write.findings(2, None, 1, None, Settings())
    with pytest.raises(ValueError, match="wanted 1 or more"):
        write.findings(0, None, 1, tmp_path, Settings())


def test_every_claim_is_about_lanes_that_run():
    lanes = {study.model: study.lanes for study in studies()}
    for claim in CLAIMS:
        assert {claim.first, claim.second} <= set(lanes[claim.model]), claim.text


def test_no_lane_runs_twice_and_the_published_numbering_is_the_methods_own():
    for study in studies():
        assert len({lane.key for lane in study.lanes}) == len(study.lanes)
        assert len({repr(lane.create(1, 7)) for lane in study.lanes}) == len(study.lanes)
    for name, strategy in PUBLISHED.items():
        published = create(name).published
        acts = published.inner if name == "fastv" else published.before
        assert acts.value == strategy
        assert numbered(name, 0.222, strategy) == Lane(name, 0.222)


def test_uploads_of_one_seed_are_not_those_of_another_nor_of_the_bench():
    for study in studies():
        indices = [index for _, index in study.cases()]
        assert len(set(indices)) == len(indices) == len(SEEDS) * study.count
        assert min(indices) >= 100_000 > 1000, "the bench asks of the first 1,000"


def test_an_upload_is_encoded_once_for_what_lanes_need_alike_and_answers_stay_the_same():
    adapter = tiny_llava()
    picture, question = next(evaluation_questions(1, 7))
    media, calls = drawn(picture), []

    class Counting(EncodedOnce):
        def encode(self, prompt, needs):
            calls.append(needs)
            return super().encode(prompt, needs)

    once = Counting(adapter)
    for lane in (VANILLA, Lane("random", 0.5), LANE, Lane("visionzip", 0.333)):
        method = lane.create(1, 7)
        *_, shared = run_lane(once, media, question.text, method, max_new_tokens=4)
        *_, alone = run_lane(adapter, media, question.text, method, max_new_tokens=4)
        assert shared.answer == alone.answer
    assert len(calls) == 4 and len(once._encoded) == len(set(calls)) == 2


def test_a_stopped_run_asks_only_what_is_not_kept_and_drops_a_line_cut_short(tmp_path):
    kept, cases, asked = tmp_path / "answers.jsonl", [(1, 10), (1, 11), (2, 20)], []

    def ask(left):
        for case in left:
            if case == (2, 20) and not asked.count((1, 11)) > 1:
                asked.append((1, 11))
                raise KeyboardInterrupt
            asked.append(case)
            yield [{"sort": str(case)}]

    with pytest.raises(KeyboardInterrupt):
        finished(kept, cases, ask)
    kept.write_text(kept.read_text() + '{"case": [2, 2')
    del asked[:]
    asked.extend([(1, 11), (1, 11)])
    told = finished(kept, cases, ask)
    assert asked[2:] == [(2, 20)], "the first two were kept"
    assert list(told) == cases and told[1, 11] == [{"sort": "(1, 11)"}]
    assert [json.loads(line)["case"] for line in kept.read_text().splitlines()] == [
        [1, 10],
        [1, 11],
        [2, 20],
    ]


def test_the_page_in_the_checkout_is_the_one_its_json_gives():
    told = json.loads((ROOT / write.RESULTS).read_text())
    assert page.markdown(told) == (ROOT / write.PAGE).read_text()


def test_the_json_in_the_checkout_is_of_the_weights_in_the_checkout():
    told = json.loads((ROOT / write.RESULTS).read_text())["models"]
    assert {name: model["weights"] for name, model in told.items()} == {
        study.model: answers.weights_of(study) for study in studies()
    }
