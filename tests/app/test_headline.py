"""The headline says who is right, with how many visual tokens, and how much sooner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.render.headline import headline
from models.engine.record import LaneFailure, Truth
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import factory

BOX = factory.TRUTH_BOX
FOUND, LOST, NONE = [BOX], [(0.0, 0.0, 0.1, 0.1)], []
LAYOUT = TokenLayout.regular(1, 24, 24)


def lane(name, kept, answer="Yes", boxes=NONE, layer=0, **changes):
    """A lane that keeps the first `kept` of 576 tokens, from one LLM layer on."""
    step = factory.selection_step(np.arange(kept), 576, layer)
    trace = TokenTrace(LAYOUT, () if name == "vanilla" else (step,), 32)
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return factory.lane(name, name.capitalize(), trace, answer, boxes=boxes, **changes)


def said(*lanes, truth=None, question="Where is the red ball?", timed=False, **changes):
    made = factory.comparison(lanes=lanes, truth=truth, question=question, **changes)
    return headline(made, timed=timed)


BOXED = {"truth": Truth("[0.56, 0.38, 0.80, 0.72]", BOX)}
NAMED = {"truth": Truth("Yes"), "question": "Is the ball red?"}


@pytest.mark.parametrize(
    ("lanes", "given", "sentence"),
    [
        (
            [("vanilla", 576, "", FOUND), ("nuwa", 64, "", FOUND), ("visionzip", 64, "", LOST)],
            BOXED,
            "Nuwa keeps 64 of 576 visual tokens and still finds the red ball. "
            "Visionzip keeps as many and loses it.",
        ),
        (
            [("vanilla", 576, "", FOUND), ("nuwa", 64, "", FOUND), ("visionzip", 128, "", LOST)],
            BOXED,
            "Nuwa keeps 64 of 576 visual tokens and still finds the red ball. "
            "Visionzip keeps 128 and loses it.",
        ),
        (
            [("vanilla", 576, "", FOUND), ("nuwa", 64, "", FOUND), ("pooling", 81, "", FOUND)],
            BOXED,
            "Nuwa and Pooling keep 64 to 81 of 576 visual tokens and still find the red ball.",
        ),
        (
            [("vanilla", 576, "", FOUND), ("nuwa", 64, "", LOST), ("pooling", 64, "", NONE)],
            BOXED,
            "With all 576 visual tokens, the model finds the red ball. "
            "Nuwa and Pooling keep 64 of 576 visual tokens and lose it.",
        ),
        (
            [("vanilla", 576, "", LOST), ("nuwa", 64, "", FOUND)],
            BOXED,
            "With all 576 visual tokens, the model does not find the red ball. "
            "Nuwa keeps 64 of 576 visual tokens and finds the red ball.",
        ),
        (
            [("vanilla", 576, "No"), ("nuwa", 64, "No"), ("pooling", 64, "No")],
            NAMED,
            "With all 576 visual tokens, the model does not answer “Yes”. "
            "No method here changes that.",
        ),
        (
            [("vanilla", 576, "Yes."), ("nuwa", 64, "yes"), ("pooling", 64, "No.")],
            NAMED,
            "Nuwa keeps 64 of 576 visual tokens and still answers “Yes”. "
            "Pooling keeps as many and answers “No”.",
        ),
        (
            [("vanilla", 576, "Yes"), ("nuwa", 64, "No"), ("pooling", 64, "no.")],
            NAMED,
            "With all 576 visual tokens, the model answers “Yes”. "
            "Nuwa and Pooling keep 64 of 576 visual tokens and answer “No”.",
        ),
        (
            [("vanilla", 576, "Yes"), ("nuwa", 64, "No"), ("pooling", 64, "A hat")],
            NAMED,
            "With all 576 visual tokens, the model answers “Yes”. "
            "Nuwa and Pooling keep 64 of 576 visual tokens and do not answer “Yes”.",
        ),
        (
            [("vanilla", 576, "A red ball."), ("nuwa", 64, "a red ball"), ("pooling", 64, " ")],
            {},
            "Nuwa keeps 64 of 576 visual tokens and still answers “A red ball”. "
            "Pooling keeps as many and answers nothing.",
        ),
        (
            [("vanilla", 576, "One"), ("nuwa", 64, "Two"), ("pooling", 64, "Three")],
            {},
            "With all 576 visual tokens, the model answers “One”. "
            "Nuwa and Pooling keep 64 of 576 visual tokens and answer differently.",
        ),
        (
            [("vanilla", 576, "One"), ("fastv", 64, "One", NONE, 16)],
            {},
            "Fastv keeps 320 of 576 visual tokens on average and still answers “One”.",
        ),
    ],
)
def test_the_sentence_names_who_is_right_and_with_how_many_tokens(lanes, given, sentence):
    assert said(*(lane(*one) for one in lanes), **given) == sentence


def test_a_failed_lane_is_left_out_and_without_vanilla_there_is_no_sentence():
    failed, right = LaneFailure("fastv", "FastV", "Too small."), lane("nuwa", 64)
    vanilla = lane("vanilla", 576)
    assert "FastV" not in said(vanilla, failed, right) and "Nuwa" in said(vanilla, failed, right)
    assert said(failed, right) == said(vanilla, failed) == ""


def timed(scale, cold=False, runs=()):
    repeats = tuple(factory.timeline(one) for one in runs)
    return {"timeline": factory.timeline(scale, cold), "repeats": repeats}


def sooner(*lanes, **changes):
    """The last sentence."""
    return said(*lanes, timed=True, **NAMED, **changes).removeprefix(
        said(*lanes, **NAMED, **changes)
    )


def test_how_much_sooner_is_said_only_where_it_was_measured_and_of_a_right_lane():
    vanilla = lane("vanilla", 576, **timed(1))
    fast, faster = lane("nuwa", 64, **timed(0.3)), lane("pooling", 64, "No", **timed(0.1))
    sentence = sooner(vanilla, fast, faster)
    assert sentence.startswith(" Nuwa gives its first token 2.") and "in this one run" in sentence
    assert sooner(vanilla, faster).startswith(" Pooling gives"), "if none is right, of the fastest"
    assert sooner(vanilla, lane("nuwa", 64, **timed(0.98))) == "", "hardly sooner"
    assert sooner(vanilla, lane("nuwa", 64, **timed(0.3, cold=True))) == "", "warming up counts"
    assert sooner(replace(vanilla, **timed(1, cold=True)), fast) == ""
    busy = {"conditions": {"device": "CPU", "load": "9.5 on 2 cores"}}
    assert sooner(vanilla, fast, **busy) == ""
    often = lane("nuwa", 64, **timed(0.3, runs=[0.3] * 5))
    assert sooner(vanilla, often).endswith("times as soon, the median of 5 runs.")
    apart = lane("nuwa", 64, **timed(0.3, runs=[0.1, 0.1, 0.3, 0.9, 0.9]))
    assert sooner(vanilla, apart) == "", "the runs lie too far apart"
