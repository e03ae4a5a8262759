"""The findings: the tests are the textbook's, nothing is asked twice, the page is the JSON's."""

import json

import numpy as np
import pytest

from app.findings import page, write
from app.findings.answered import Answered
from app.findings.answers import EncodedOnce, finished
from app.findings.claims import CLAIMS, Claim, judged
from app.findings.paired import holm, interval, mcnemar
from app.findings.study import FLOOR, PUBLISHED, SEEDS, VANILLA, Lane, numbered, studies
from app.settings import ROOT
from models.embedded.questions import evaluation_questions
from models.media import drawn
from models.pipeline import run_lane
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
    assert told.rate(LANE, told.every) == pytest.approx({"mean": 0.4, "spread": 0.0})
    assert told.rate(LANE, told.moving)["mean"] == pytest.approx(0.8)
    assert told.rate(LANE, told.still)["mean"] == 0


@pytest.mark.parametrize(
    ("first", "verdict"), [(10, "holds"), (0, "the reverse"), (5, "not decided")]
)
def test_a_claim_is_decided_by_its_test_in_either_direction(first, verdict):
    told = Answered(records(lambda lane, box, index: (index < first) is (lane == VANILLA)))
    claim = Claim("more", "paper", "m", VANILLA, LANE, "every")
    (row,) = judged({"m": told}, [claim])
    assert row["verdict"] == verdict


def test_a_claim_about_a_method_that_refuses_says_why():
    told = records(lambda lane, box, index: True)
    for record in told:
        record["lanes"][LANE.key] = "too low"
    (row,) = judged({"m": Answered(told)}, [Claim("more", "", "m", LANE, VANILLA, "box")])
    assert row["refused"] == "too low" and "verdict" not in row


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
    cases = [case for case in studies()[0].cases()]
    indices = [index for _, index in cases]
    assert len(set(indices)) == len(indices) and min(indices) >= 100_000


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
