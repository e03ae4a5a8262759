"""Lanes under a scheduler: interleaving, sampling, timing and refusals."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import zip_longest

import pytest
import torch

from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.families.llava import LlavaAdapter
from models.uploads.media import Media
from pruning.budget import BudgetError
from pruning.methods import create
from tests.cases import GAZE, ONE_EACH
from tests.models.runs import FEW, QUICK
from tests.tiny import SETTINGS, Setting, clip, picture, tiny_llava, tiny_onevision


def finished(
    adapter: Adapter, method: object, media: Media | None = None, **options: object
) -> LaneResult:
    *_, result = run_lane(adapter, media or picture(), "What is this?", method, **options)
    return result


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
@pytest.mark.parametrize("every_case", [False, pytest.param(True, marks=pytest.mark.grid)])
def test_interleaved_lanes_answer_as_lanes_run_one_after_another(
    setting: Setting, every_case: bool
) -> None:
    """Of all methods on one model, of a few that differ in what the engine does on the others."""
    adapter, media = setting.model(), setting.upload()
    options = {"max_new_tokens": 2, "temperature": 1.5, "gaze": GAZE}
    cases = setting.cases if every_case else ONE_EACH
    methods = [method for case in cases if setting.runs(method := case.create())]
    if not every_case and setting.id != QUICK:
        methods = [method for method in methods if method.name in FEW]
    lanes = [run_lane(adapter, media, "What is this?", method, **options) for method in methods]
    turns = zip(*zip_longest(*lanes), strict=True)  # one step of each lane, again and again
    for method, steps in zip(methods, turns, strict=True):
        *_, interleaved = (step for step in steps if step is not None)
        alone = finished(adapter, method, media, **options)
        assert interleaved.answer == alone.answer
        assert interleaved.trace.survivors.tolist() == alone.trace.survivors.tolist()
        assert interleaved.kv_bytes == alone.kv_bytes


def test_equal_seeds_sample_equal_answers(adapter: LlavaAdapter) -> None:
    torch.manual_seed(1)
    first = finished(adapter, create("vanilla"), temperature=2.0, seed=5)
    torch.manual_seed(2)
    again = finished(adapter, create("vanilla"), temperature=2.0, seed=5)
    other = finished(adapter, create("vanilla"), temperature=2.0, seed=6)
    assert first.answer == again.answer != other.answer


def test_sampling_leaves_the_global_generator_alone(adapter: LlavaAdapter) -> None:
    before = torch.get_rng_state()
    finished(adapter, create("random"), temperature=2.0, max_new_tokens=3)
    assert torch.equal(before, torch.get_rng_state())


def test_time_between_steps_is_not_measured(adapter: LlavaAdapter) -> None:
    started, steps = time.perf_counter(), []
    for step in run_lane(adapter, picture(), "What is this?", create("fastv"), max_new_tokens=3):
        steps.append(step)
        time.sleep(0.05)
    working = time.perf_counter() - started - 0.05 * len(steps)
    assert steps[-1].timeline.total < working


def test_inference_mode_is_not_held_between_steps(adapter: LlavaAdapter) -> None:
    for _ in run_lane(adapter, picture(), "What is this?", create("vanilla"), max_new_tokens=3):
        assert not torch.is_inference_mode_enabled()


def test_reading_counts_the_file_too(adapter: LlavaAdapter) -> None:
    slow = replace(picture(), read_seconds=100.0)
    *_, result = run_lane(adapter, slow, "What is this?", create("vanilla"), max_new_tokens=1)
    assert result.timeline.seconds("read") > 100


def test_an_answer_ends_with_the_end_token(adapter: LlavaAdapter) -> None:
    answer = finished(adapter, create("vanilla"), max_new_tokens=8).answer
    letter = next(letter for letter in answer if letter.isascii())
    config = adapter.model.generation_config
    stock, config.eos_token_id = config.eos_token_id, adapter.tokenizer(letter).input_ids
    try:
        ended = finished(adapter, create("vanilla"), max_new_tokens=8)
    finally:
        config.eos_token_id = stock
    assert answer.startswith(ended.answer)
    assert ended.answer.endswith(letter)
    assert ended.new_tokens < 8


def test_the_cache_is_measured_before_decode(adapter: LlavaAdapter) -> None:
    result = finished(adapter, create("fastv"), max_new_tokens=5)
    rows = result.trace.per_layer.sum() + 8 * result.text_tokens
    assert result.kv_bytes == rows * 2 * 2 * 16 * 4  # keys and values, 2 heads of 16 float32
    assert result.peak_bytes is None


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("  \n ", "The question is empty"),
        ("a" * 2001, "2,001 characters; the limit is 2,000"),
        ("Where is <image>?", "contains <image>"),
    ],
)
def test_a_bad_question_is_refused_in_a_sentence(
    adapter: LlavaAdapter, question: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        next(run_lane(adapter, picture(), question, create("vanilla")))


def test_space_around_a_question_does_not_matter(adapter: LlavaAdapter) -> None:
    answers = {
        list(run_lane(adapter, picture(), question, create("vanilla"), max_new_tokens=4))[-1].answer
        for question in ("Where?", "  Where?\n")
    }
    assert len(answers) == 1


def test_a_clip_is_refused_by_a_model_for_pictures(adapter: LlavaAdapter) -> None:
    with pytest.raises(ValueError, match=r"^This model takes a picture, and a clip came: "):
        next(run_lane(adapter, clip(), "What?", create("vanilla")))


def test_a_picture_is_refused_by_a_model_trained_on_clips_alone() -> None:
    model = replace(tiny_onevision(), media=frozenset({"video"}))
    with pytest.raises(ValueError, match=r"^This model takes a clip, and a picture came: "):
        next(run_lane(model, picture(), "What?", create("vanilla")))


def test_a_picture_is_refused_by_a_method_for_clips() -> None:
    sentence = (
        r"^FlashVID takes a clip, and a picture came: upload a clip, or choose another method"
    )
    with pytest.raises(ValueError, match=sentence):
        next(run_lane(tiny_onevision(), picture(), "What?", create("flashvid")))


def test_a_ratio_out_of_reach_is_refused_before_the_encoder_runs(adapter: LlavaAdapter) -> None:
    lane = run_lane(adapter, picture(), "What?", create("fastv", retention_ratio=0.02))
    with pytest.raises(BudgetError, match="smallest retention ratio"):
        next(lane)


@pytest.mark.parametrize("options", [{"max_new_tokens": 0}, {"temperature": -1.0}])
def test_impossible_options_are_refused(adapter: LlavaAdapter, options: dict) -> None:
    with pytest.raises(ValueError, match="wanted at least 1 token"):
        next(run_lane(adapter, picture(), "What?", create("vanilla"), **options))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (300, 7), (48, 48)])
def test_pictures_of_any_shape_are_accepted(height: int, width: int) -> None:
    upload: Media = picture(height, width)
    result = finished(tiny_llava(), create("visionzip"), upload, max_new_tokens=2)
    assert result.trace.layout.num_placed == 36


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 45, 60), (3, 26, 400), (5, 300, 16)])
def test_clips_of_any_shape_are_accepted(frames: int, height: int, width: int) -> None:
    result = finished(
        tiny_onevision(), create("flashvid"), clip(frames, height, width), max_new_tokens=2
    )
    assert result.trace.layout.grid == (frames, 3, 3)


def test_a_result_reports_the_averages_processed_cached_and_handed_on(
    adapter: LlavaAdapter,
) -> None:
    result = finished(adapter, create("ivcprune", retention_ratio=0.8), max_new_tokens=1)
    counts = result.trace.per_layer.tolist()
    assert result.averages is not None
    assert result.averages.processed == pytest.approx(sum(counts) / len(counts))
    assert result.averages.handed_on == pytest.approx(sum([*counts[1:], counts[-1]]) / len(counts))
    assert result.averages.cached < result.averages.processed


def test_the_title_reports_an_inner_part_without_tokens_to_drop(adapter: LlavaAdapter) -> None:
    method = create("random.before+fastv.inner", retention_ratio=0.5, stage_ratio=1.0)
    result = finished(adapter, method, max_new_tokens=1)
    assert len({*result.trace.per_layer}) == 1
    assert result.title == "Random before + FastV inside (nothing left to drop inside)"
