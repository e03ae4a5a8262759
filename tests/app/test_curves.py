"""The training curves: logged values at their steps, stages in the order of training."""

import json

import pytest

from app.docs import curves
from app.docs.curves import AROUND, Stage, points, smoothed, stages
from app.render.chart import chart_svg


def write(folder, name, steps, **values):
    lines = [{"step": step, "seconds": 2.0 * step} | values for step in steps]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


@pytest.fixture
def logs(tmp_path):
    for model in curves.MODELS:
        write(tmp_path / model, "encoder", [0, 10, 19], loss=4.0, patch_accuracy=0.5)
        write(tmp_path / model, "answers", [0, 9], loss=2.0, words_right=0.25, kind_right=0.75)
        write(tmp_path / model, "answers-2", [0, 4], loss=1.0, words_right=0.5)
        write(tmp_path / model, "encoder-2", [0, 29], loss=3.0, patch_accuracy=0.9)
    return tmp_path


def test_stages_are_in_order_of_rounds_the_encoder_first(logs):
    ran = stages(logs / "image")
    assert [stage.name for stage in ran] == ["encoder", "answers", "encoder-2", "answers-2"]
    assert [stage.steps for stage in ran] == [20, 10, 30, 5]


def test_steps_continue_from_stage_to_stage(logs):
    losses = points(stages(logs / "image"), ["loss"])
    assert [loss["step"] for loss in losses] == [0, 10, 19, 20, 29, 30, 59, 60, 64]
    assert [loss["value"] for loss in losses][::3] == [4.0, 2.0, 3.0]


def test_a_stage_has_only_the_values_that_it_logged(logs):
    words = points(stages(logs / "image"), ["words_right", "kind_right"])
    assert {(one["stage"], one["what"]) for one in words} == {
        ("answers", curves.SHARES["words_right"]),
        ("answers", curves.SHARES["kind_right"]),
        ("answers-2", curves.SHARES["words_right"]),
    }


def test_repeated_steps_of_a_resumed_run_count_once_with_the_last_values():
    again = [{"step": 10, "seconds": 5.0, "loss": 3.0}, {"step": 20, "seconds": 9.0, "loss": 1.0}]
    text = "\n".join(map(json.dumps, [*again, {"step": 10, "seconds": 6.0, "loss": 2.0}]))
    assert [line["loss"] for line in curves._lines(text)] == [2.0, 1.0]


def test_a_smoothed_value_is_the_mean_of_its_neighbours():
    values = [0.0] * 20
    values[10] = 1.0
    near = [index for index, value in enumerate(smoothed(values)) if value > 0]
    assert near == list(range(10 - AROUND, 10 + AROUND + 1))
    assert smoothed([1.0, 2.0, 3.0]) == [2.0, 2.0, 2.0] and smoothed([7.0]) == [7.0]


def test_both_pictures_name_their_stages_and_shares(logs, tmp_path):
    paths = list(curves.draw(logs, tmp_path))
    assert [path.name for path in paths] == ["curves-image.svg", "curves-video.svg"]
    for path in paths:
        drawn = path.read_text()
        for word in ("encoder-2", "answers-2", "words right", "loss", "65\u00a0steps"):
            assert f">{word}" in drawn, word
        assert curves.SHARES["coordinate_near"] not in drawn, "no stage logged it"


def test_a_single_stage_can_be_drawn(tmp_path):
    stage = Stage("encoder", ({"step": 0, "seconds": 1.0, "loss": 2.0, "patch_accuracy": 0.1},))
    chart_svg(curves.chart([stage]), tmp_path / "one.svg")
    assert "<svg" in (tmp_path / "one.svg").read_text()


def test_a_folder_without_logs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="wanted the log of a training"):
        stages(tmp_path)
