"""Repeated runs take turns, and their times join the comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.recording import storage
from app.repeats import repeated, repeats_for, with_repeats
from app.worker.protocol import Job
from models.engine.record import Phase
from pruning.methods import create
from tests.app import factory


@pytest.fixture(scope="module")
def comparison():
    return factory.comparison()


def test_the_lanes_that_answered_run_again_one_at_a_time(comparison):
    methods = tuple(map(create, ("vanilla", "visionzip", "nuwa", "fastv")))
    job = Job("a", comparison.media, "Where?", methods)
    again = repeated(job, comparison, 2)
    assert [one.name for one in again.methods] == 2 * ["vanilla", "visionzip", "nuwa"]
    assert again.at_once == 1


def test_the_times_of_all_runs_join_their_lanes_and_a_recording_keeps_them(comparison, tmp_path):
    runs = [replace(lane, timeline=factory.timeline(turn)) for turn in (1, 2, 3)
            for lane in comparison.lanes[:3]]  # fmt: skip
    merged = with_repeats(comparison, replace(comparison, lanes=tuple(runs)))
    assert merged.lanes[1].repeats == tuple(map(factory.timeline, (1, 2, 3)))
    assert merged.lanes[1].typical == factory.timeline(2)
    assert merged.lanes[3] == comparison.lanes[3], "it did not answer"
    assert factory.same(storage.load(storage.save(merged, tmp_path / "case")), merged)


@pytest.mark.parametrize(("seconds", "runs"), [(0.1, 9), (2.6, 7), (3.2, 5), (50, 5)])
def test_slow_lanes_run_fewer_times_and_always_an_odd_number(comparison, seconds, runs):
    timeline = replace(factory.timeline(), phases=(Phase("prefill", seconds, 1, 1),))
    lanes = (replace(comparison.lanes[0], timeline=timeline),)
    assert repeats_for(replace(comparison, lanes=lanes)) == runs
