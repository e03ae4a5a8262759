"""The command line: the same job without a page, and a bad request is one sentence."""

import json

import numpy as np
import pytest
from PIL import Image

from app.__main__ import main
from app.commands.draw import DRAWN
from app.example_uploads import examples
from app.recording import storage
from app.settings import EXAMPLES
from app.worker import local
from models.catalog import CATALOG, find
from models.grounding import FORMATS
from tests.app import factory
from tests.models import hub_cache
from tests.tiny import tiny_llava, tiny_onevision


def checkpoint(test):
    """Runs lanes of an embedded model: these tests take most of the time of this file."""
    return pytest.mark.checkpoint(pytest.mark.slow(test))


def example():
    first = examples()[0]
    return str(EXAMPLES / first["file"]), first["questions"][0]["question"]


@checkpoint
def test_compare_prints_a_table_and_writes_a_record_and_pictures(tmp_path, capsys):
    picture, question = example()
    out = tmp_path / "case"
    assert main(["compare", picture, question, "--retention", "0.333", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert all(title in printed for title in ("Vanilla", "VisionZip", "Nüwa"))
    names = {path.name for path in out.iterdir()}
    assert {"record.json", "arrays.npz", "latency.png", "overlay_nuwa.png"} <= names
    json.loads((out / "record.json").read_text())


def test_sweep_prints_verdicts_and_writes_a_record_a_chart_and_a_sheet(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(local, "load", lambda name, device, dtype: tiny_llava())
    path, out = tmp_path / "grey.png", tmp_path / "case"
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
    options = ["--methods", "nuwa,fastv", "--retention", "0.5,0.1", "--max-new-tokens", "2"]
    assert main(["sweep", str(path), "Where?", *options, "--out", str(out)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["method", "50", "%", "10", "%"]
    assert [line.split()[0] for line in lines[:3]] == ["Vanilla", "Nüwa", "FastV"]
    points = json.loads(lines[-1])["points"]
    assert [point["ratio"] for point in points] == [1, 0.5, 0.1, 0.5, 0.1]
    assert {path.name for path in out.iterdir()} >= {"record.json", "sweep.svg", "sheet.png"}
    assert storage.load(out).options["ratios"] == (0.5, 0.1)


@pytest.mark.slow
def test_compare_of_a_clip_writes_its_strips_trees_and_clip(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(local, "load", lambda name, device, dtype: tiny_onevision())
    clip, out = factory.clip_file(tmp_path / "ball.mp4"), tmp_path / "case"
    arguments = ["--methods", "vanilla,flashvid,ttm", "--retention", "0.3", "--max-new-tokens", "2"]
    assert main(["compare", str(clip), "Where?", *arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "embedded-video" in printed and "12 frames from 0.00 s to 0.92 s" in printed
    written = {path.name for path in out.iterdir()}
    assert {"record.json", "frame_011.png", "strip_flashvid.png", "overlay_ttm.mp4"} <= written
    assert {"tree1_ttm.png", "timeline.svg", "boxes_vanilla.png", "latency.png"} <= written
    assert storage.load(out).media.kind == "video"


def test_compare_composes_parts_and_its_record_says_what_ran(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(local, "load", lambda name, device, dtype: tiny_llava())
    path, out = tmp_path / "grey.png", tmp_path / "case"
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
    methods = "nuwa:paper.before+fastv.inner+rpme,nuwa.before+fastv.inner"
    arguments = ["--methods", methods, "--retention", "0.3", "--max-new-tokens", "2"]
    assert main(["compare", str(path), "Where?", *arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Nüwa paper before + FastV inside, RPME" in printed
    _, paper, official = storage.load(out).lanes
    assert f"{paper.method},{official.method}" == methods
    assert paper.knobs["before"]["reach"] == 0.26 and official.knobs["inner"]["layer"] == 2
    assert paper.trace.per_layer.tolist() == [26, *[9] * 7], "36 tokens, of which 30 % on average"
    assert paper.trace.average == pytest.approx(0.3, abs=1 / 36)


def test_a_question_outside_the_training_has_a_warning_before_the_answers(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(local, "load", lambda name, device, dtype: tiny_llava())
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
    arguments = ["--methods", "vanilla", "--max-new-tokens", "2"]
    assert main(["compare", str(path), "What is the mood of this picture?", *arguments]) == 0
    printed = capsys.readouterr().out
    before, _ = printed.split("\nMethod")
    assert "not drawn by this project" in before and "does not know the word “mood”" in before
    assert main(["compare", str(path), "Where is the car?", *arguments]) == 0
    assert "does not know" not in capsys.readouterr().out


@checkpoint
def test_what_to_locate_is_asked_for_in_the_model_s_own_words(tmp_path, capsys):
    out = tmp_path / "case"
    arguments = ["--locate", "purple bell", "--methods", "vanilla", "--out", str(out)]
    assert main(["compare", str(EXAMPLES / "scene-1.png"), *arguments]) == 0
    assert capsys.readouterr().out.startswith("Locate the purple bell.\n")
    saved = storage.load(out)
    assert saved.question == "Locate the purple bell."
    assert len(saved.lanes[0].boxes) == 1


@pytest.mark.parametrize("asked", [[], ["Where is it?", "--locate", "the cat"]])
def test_one_question_is_asked_or_one_thing_located(asked, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(EXAMPLES / "scene-1.png"), *asked])
    assert stopped.value.code == 2 and "--locate" in capsys.readouterr().err


def test_nothing_to_locate_is_an_empty_question(capsys):
    assert main(["compare", str(EXAMPLES / "scene-1.png"), "--locate", " "]) == 2
    assert "question is empty" in capsys.readouterr().err


@checkpoint
def test_a_lane_that_fails_is_named_and_the_exit_status_is_not_zero(tmp_path, capsys):
    picture, question = example()
    arguments = ["compare", picture, question, "--methods", "vanilla,fastv", "--retention", "0.05"]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "smallest retention ratio" in said.err and "Vanilla" in said.out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"question": "  "}, "question is empty"),
        ({"methods": "vanilla,fastx"}, "Choose one of"),
        ({"methods": "pooling.before+pooling.inner"}, "Unknown inner-LLM part 'pooling'. Choose"),
        ({"retention": "nan"}, "above 0"),
        ({"frames": "0"}, "Frames is 0"),
        ({"picture": "https://example.com/a.png"}, "web address"),
        ({"picture": "nowhere.png"}, "no file"),
    ],
)
def test_a_bad_request_is_one_sentence_and_exit_status_2(change, sentence, tmp_path, capsys):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
    asked = {"picture": str(path), "question": "Where?", "model": "embedded-image"} | {
        "methods": "vanilla",
        "retention": "0.5",
    }
    asked |= change
    picture, question = asked.pop("picture"), asked.pop("question")
    options = [part for name, value in asked.items() for part in (f"--{name}", value)]
    assert main(["compare", picture, question, *options]) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said and "\n" not in said


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [("--retention", "a third", "numbers such as 0.333"), ("--scenes", "0", "at least 1")],
)
def test_a_bad_bench_is_one_sentence_and_exit_status_2(option, value, sentence, capsys):
    assert main(["bench", option, value]) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said and "\n" not in said


@checkpoint
def test_bench_prints_a_table_and_ends_with_one_json_line(capsys):
    methods = "vanilla, pooling, nuwa:paper, pooling.before+fastv.inner"
    arguments = ["bench", "--scenes", "1", "--methods", methods, "--retention", "0.333"]
    assert main([*arguments, "--jobs", "1"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    report = json.loads(lines[-1])
    assert [row["method"] for row in report["rows"]] == methods.split(", ")
    assert lines[0].split()[0] == "method" and report["questions"]["grounding"] == 1


def test_the_models_are_listed_with_their_sizes_and_what_fetches_them(
    tmp_path, monkeypatch, capsys
):
    hub_cache.give_cache(tmp_path, monkeypatch)  # one is here, its shape a tiny one's
    hub_cache.fetch(tmp_path, find("llava-1.5-7b"), tiny_llava())
    assert main(["models"]) == 0
    head, *lines, _, note = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["name", "takes", "parameters"] and "@random" in note
    told = {line.split()[0]: line for line in lines}
    assert set(told) == {card.name for card in CATALOG}
    assert f"{tiny_llava().model.num_parameters():,}" in told["llava-1.5-7b"]
    assert " here " in told["llava-1.5-7b"] and " here " in told["embedded-image"]
    assert all(FORMATS[card.grounding].written in told[card.name] for card in CATALOG)
    assert "13,351,494,656  29.9 " in told["llava-1.5-13b"]
    assert "python -m app fetch llava-1.5-13b" in told["llava-1.5-13b"]


def test_a_model_whose_weights_are_not_here_is_one_sentence_and_exit_status_2(
    tmp_path, monkeypatch, capsys
):
    hub_cache.give_cache(tmp_path, monkeypatch)
    assert main(["compare", example()[0], "Where?", "--model", "llava-1.5-7b"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("tokenscope: LLaVA-1.5 7B is not on this machine; fetch it with `pyth")
    assert "\n" not in said


def test_answers_of_random_weights_have_a_warning(tmp_path, monkeypatch, capsys):
    hub_cache.give_cache(tmp_path, monkeypatch)
    arguments = ["--model", "llava-1.5-7b@random", "--max-new-tokens", "2", "--methods", "nuwa"]
    assert main(["compare", example()[0], "Where?", *arguments, "--retention", "0.5"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("LLaVA-1.5 7B (random weights): its answers are noise")


COMMANDS = (
    "demo",
    "compare",
    "sweep",
    "models",
    "bench",
    "speed",
    "compression",
    "findings",
    *DRAWN,
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0 and f"python -m app {command}" in capsys.readouterr().out
