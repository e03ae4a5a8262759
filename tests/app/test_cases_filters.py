"""Filters, rates and remarks of a run, and why answers changed."""

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.cases.exports import export
from app.cases.filters import NO_VERDICT, Filter, Table, parse_filter
from app.cases.people import People, Remark
from app.cases.rates import SHARE_NAMES, summarize, text_of
from app.cases.why import REASONS, object_fate, tokens_within
from app.page import cases_html
from app.significance import wilson
from pruning.base import PositionStrategy
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app.cases import NUWA, ZIPPED, make_run, table_of


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(make_run(tmp_path_factory.mktemp("runs") / "run"))


def test_filters_combine_and_an_address_holds_all_of_them(table):
    asked = Filter(right=("vanilla", NUWA), wrong=(ZIPPED,), kind="existence", sort="size")
    assert parse_filter("?" + asked.query + "&case=abc") == asked
    chosen = table.choose(asked)
    right = table.figure("right").loc[chosen]
    assert chosen and right["vanilla"].all() and not right[ZIPPED].any()
    assert set(table.cases.kind[chosen]) == {"existence"}
    assert set(table.choose(Filter(show="differ"))) == set(table.cases.index)
    assert set(table.choose(Filter(show="all_wrong"))) < set(table.cases.index)
    found = table.choose(Filter(text="HOW MANY"))
    assert found and all("how many" in table.cases.question[one].lower() for one in found)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("right=fastv", "there are vanilla"), ("size=huge", "small"), ("iou_drop=a", "a number")],
)
def test_a_wrong_filter_names_what_is_accepted(table, query, wanted):
    with pytest.raises(ValueError, match=wanted):
        table.choose(parse_filter(query))


def test_rates_count_what_the_filter_shows_with_intervals_and_paired_tests(table):
    asked = Filter(kind="existence")
    chosen = table.choose(asked)
    summary = summarize(table, asked, chosen)
    vanilla, zipped, _ = summary["lanes"]
    of = len(chosen)
    assert vanilla["scored"] == of and vanilla["right"] + zipped["right"] == pytest.approx(1)
    assert (vanilla["low"], vanilla["high"]) == wilson(round(vanilla["right"] * of), of)
    assert vanilla["yes"] == 1 and zipped["yes"] == 0 and vanilla["recall"] == 1
    assert zipped["recall"] == 0 and zipped["precision"] is None, "it never says yes"
    pair = summary["pairs"][0]
    assert pair["both"] == pair["none"] == 0 and pair["vanilla_alone"] + pair["lane_alone"] == of
    assert summary["pairs"][1]["p"] == 1.0
    json.dumps(summarize(table, Filter(), list(table.cases.index)), allow_nan=False)
    assert "McNemar" in text_of(summary)


def test_accuracy_by_share_kept_counts_every_share_from_none_to_all(table):
    shares = Table(table.run, {})
    kept = shares.figure("object_kept")
    chosen, given = list(kept.index[:5]), np.array([0, 0.2, 0.4, 0.7, 1], np.float32)
    kept.loc[chosen, ZIPPED] = given
    kept.loc[chosen[0], NUWA] = 0.9
    by_share = summarize(shares, Filter(), chosen)["kept"]
    assert [one["group"] for one in by_share] == sorted(
        (one["group"] for one in by_share), key=SHARE_NAMES.index
    )
    counted = [one for one in by_share if one["lane"] == ZIPPED]
    assert [one["scored"] for one in counted] == [1, 1, 1, 1, 1]


def test_a_reason_explains_an_answer_that_is_wrong_where_vanilla_is_right(table):
    with_reason = table.run.results.query("lane == @ZIPPED and reason.notna()").case.tolist()
    fresh = Table(table.run, {})
    right = fresh.figure("right")
    right.loc[with_reason[:3], ["vanilla", ZIPPED]] = [[True, False], [False, False], [True, True]]
    right.loc[with_reason[3:], "vanilla"] = False
    found = [one for reason in REASONS for one in fresh.choose(Filter(reason=reason, lane=ZIPPED))]
    assert found == with_reason[:1]
    alone = Table(SimpleNamespace(**vars(table.run), lanes=[ZIPPED]), {})
    alone.figure("right")[ZIPPED] = False  # of a run without vanilla
    assert alone.figure("reason")[ZIPPED].count() == len(with_reason)


def test_failed_lanes_are_counted_beside_every_rate_and_are_in_none(tmp_path):
    failing = table_of(make_run(tmp_path / "run", failing=("nuwa",)))
    summary = summarize(failing, Filter(), failing.choose(Filter()))
    vanilla, _, nuwa = summary["lanes"]
    assert (vanilla["failed"], nuwa["failed"], nuwa["right"]) == (0, 20, None)
    assert "recall" in vanilla and "recall" not in nuwa
    by_kind = [one for one in summary["kinds"] if one["lane"] == NUWA]
    assert sum(one["failed"] for one in by_kind) == 20
    line = next(line for line in text_of(summary).splitlines() if line.startswith(NUWA))
    assert line.split()[1:3] == ["–", "20"]
    assert f"<span>{NUWA}</span>" in (page := cases_html.summary_html(summary))
    assert "–, 0 cases, 20 failed" in page
    chosen = failing.choose(Filter())[:2]
    assert f"Failed: {NUWA} on 2</p>" in export(failing, chosen, tmp_path / "a.html").read_text()


def test_cases_that_are_chosen_by_their_answers_or_by_remarks_on_them_are_not_tested(table):
    asked = Filter(right=("vanilla",), wrong=(ZIPPED,))
    assert Filter(verdict="method").by_answers and not Filter(verdict=NO_VERDICT).by_answers
    assert Filter(text="red").by_answers and Filter(tag="blur").by_answers
    summary = summarize(table, asked, table.choose(asked))
    assert {pair["p_holm"] for pair in summary["pairs"]} == {None}
    assert "no test" in text_of(summary) and "McNemar" not in text_of(summary)
    page = cases_html.summary_html(summary)
    assert "No test" in page and "McNemar" not in page


@pytest.mark.parametrize("sort", ["", "size"])
def test_a_case_that_a_remark_moved_out_of_its_filter_is_followed_by_the_next_one(table, sort):
    asked = Filter(verdict=NO_VERDICT, sort=sort)
    first, second, third, *_ = whole = table.choose(asked)
    judged = Table(table.run, {second: Remark(verdict="unclear")})
    left = judged.choose(asked)
    assert left == [one for one in whole if one != second]
    assert judged.neighbours(asked, second, left) == (first, third)
    assert judged.neighbours(asked, whole[-1], left) == (whole[-2], "")
    head = cases_html.case_head(judged, asked, second, left)
    assert re.search(rf'case={third}"[^>]*data-key="ArrowRight"', head) and "none of 19" in head


def test_wilson_is_the_published_interval():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_what_people_say_is_kept_with_two_writers_at_once(tmp_path):
    folder = tmp_path
    People(folder).judge("a", "label wrong")
    with ThreadPoolExecutor(2) as two:
        list(two.map(lambda tag: People(folder).tag("a", f"tag {tag}"), range(20)))
    People(folder).tag("a", "tag 3", on=False)
    People(folder).note("b", "<b>seen</b>")
    said = People(folder).all()
    assert said["a"].verdict == "label wrong" and len(said["a"].tags) == 19
    assert said["b"] == Remark(note="<b>seen</b>")
    with pytest.raises(ValueError, match="label wrong"):
        People(folder).judge("a", "bad")


def traced(anchors, n=16):
    own = np.arange(len(anchors))
    ones = np.ones(len(anchors), np.float32)
    step = TraceStep(0, n, anchors, own, anchors, ones)
    return TokenTrace(TokenLayout.regular(1, 4, 4), (step,), 4)


def test_the_object_of_a_box_is_counted_token_by_token():
    box = (0.5, 0.5, 1.0, 1.0)  # cells 10, 11, 14, 15 of 4 × 4
    assert tokens_within(box, TokenLayout.regular(1, 4, 4)).tolist() == [10, 11, 14, 15]
    assert tokens_within((0.3, 0.3, 0.31, 0.31), TokenLayout.regular(1, 4, 4)).tolist() == [5]
    gone = object_fate(box, traced(np.array([0, 1])))
    assert gone.object_dropped == 1 and gone.on_object is None and gone.reason == "object dropped"
    kept = traced(np.array([0, 10]))
    there = object_fate(box, kept, PositionStrategy.PESP)
    assert there.object_kept == 0.25 and there.shift == 0
    assert there.reason == "object kept, answer changed"
    moved = object_fate(box, kept, PositionStrategy.PERC)  # token 10 gets id 1: 2 rows, 1 column
    assert moved.shift == pytest.approx(np.hypot(2, 1)) and "place lost" in moved.reason


def test_a_remark_that_a_full_disk_refuses_is_told_and_the_others_are_kept(tmp_path, monkeypatch):
    People(tmp_path).note("a", "seen")
    connect = sqlite3.connect

    def full(*args, **options):
        database = connect(*args, **options)
        database.execute("PRAGMA max_page_count = 1")
        return database

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", full)
        with pytest.raises(ValueError, match=r"disk is full.*what was saved before is kept"):
            People(tmp_path).note("a", "long " * 1000)
    assert People(tmp_path).of("a").note == "seen"


@pytest.mark.security
def test_a_question_is_text_on_the_page_and_never_html(table):
    case = next(iter(table.run.cases.values()))
    hostile = replace(case, question="<img src=x onerror=alert(1)>", answers=("<b>",), kind="<i>")
    with_it = Table(SimpleNamespace(**vars(table.run), lanes=table.lanes, name="<u>"), {})
    with_it.run.cases = {**table.run.cases, case.id: hostile}
    page = cases_html.cards(with_it, Filter(), [case.id], {}, "")
    page += cases_html.case_head(with_it, Filter(text="<s>"), case.id, [case.id])
    assert "&lt;img src=x" in page and not re.search(r"<(img|b>|i>|u>|s>)", page)
