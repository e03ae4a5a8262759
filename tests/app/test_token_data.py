"""The data that the page draws of a lane agrees with the trace and with the drawn overlay."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

from app.page.pictures import lane_pictures
from app.render.overlay import legend
from app.render.palette import at_layer, survivor_colours
from app.render.token_data import token_data
from models.uploads.media import drawn
from tests.app import factory

FRAME = factory.picture()
MEDIA = drawn(FRAME)
TRACES = {
    "nuwa": factory.nuwa_trace(FRAME),
    "visionzip": factory.visionzip_trace(FRAME),
    "fastv": factory.fastv_trace(FRAME),
    "prumerge": factory.prumerge_trace(FRAME),
    "vanilla": factory.vanilla_trace(),
}


def data_of(trace):
    return json.loads(json.dumps(token_data(MEDIA, trace), allow_nan=False))


@pytest.mark.parametrize("name", TRACES)
def test_every_stage_holds_the_fates_and_survivors_of_the_trace(name):
    trace = TRACES[name]
    data = data_of(trace)
    assert data["left"] == trace.left_at.tolist()
    assert data["colour"] == survivor_colours(trace).tolist()
    for stage, following in zip(data["stages"], [*data["stages"][1:], None], strict=True):
        last = following["layer"] - 1 if following else trace.num_layers - 1
        for layer in (stage["layer"], last):  # it holds until the next one
            now = at_layer(trace, layer)
            assert stage["fate"] == now.fate.tolist()
            assert stage["survivor"] == now.survivor.tolist()
            assert stage["legend"] == legend(now)


@pytest.mark.parametrize("name", TRACES)
def test_the_weights_of_every_survivor_are_those_of_the_trace(name):
    trace = TRACES[name]
    stage = data_of(trace)["stages"][-1]
    for survivor in np.unique(trace.survivors[trace.survivors >= 0]).tolist():
        found = np.zeros(len(trace))
        for token, weight in stage["weights"].get(str(survivor), [[survivor, 1.0]]):
            found[token] += weight
        assert np.allclose(found, trace.weights_of(survivor), rtol=1e-4)


def test_ranks_follow_the_scores_and_a_token_without_a_score_has_none():
    trace = TRACES["visionzip"]
    data = data_of(trace)
    known = [(score, rank) for score, rank in zip(data["score"], data["rank"], strict=True) if rank]
    assert sorted(rank for _, rank in known) == list(range(1, len(known) + 1))
    by_rank = [score for score, _ in sorted(known, key=lambda one: one[1])]
    assert by_rank == sorted(by_rank, reverse=True)
    assert all(
        (score is None) == (rank is None)
        for score, rank in zip(data["score"], data["rank"], strict=True)
    )
    assert (
        data_of(TRACES["vanilla"])["scores"] == "no scores: this method does not rate single tokens"
    )


def test_only_the_lane_with_the_frames_sends_a_picture_and_its_data_is_small():
    lane = factory.comparison().lanes[2]
    bare, other = (
        lane_pictures(MEDIA, lane, None, "#000000", frames=frames) for frames in (True, False)
    )
    assert bare.count("<img") == 1 and "<img" not in other
    packed = re.search(r'data-lane="([^"]*)"', other)[1]
    assert json.loads(zlib.decompress(base64.b64decode(packed)))["title"] == lane.title
    assert len(other) < 40_000
