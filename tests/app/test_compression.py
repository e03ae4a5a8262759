"""What compressing costs, measured on a clip small enough for a test."""

import json

import pytest

from app.__main__ import main
from app.measure.compression import METHODS

SMALL = ["--clip", "4", "--tokens", "16", "--width", "128", "--repeats", "1", "--frames", "2,4"]


def test_compression_prints_a_table_and_then_one_line_of_json(tmp_path, capsys):
    path = tmp_path / "report.json"
    asked = ["compression", *SMALL, "--retention", "0.5", "--json", str(path)]
    assert main(asked) == 0
    *printed, last = capsys.readouterr().out.splitlines()
    report = json.loads(last)
    assert report == json.loads(path.read_text())
    assert [row["method"] for row in report["methods"]] == list(METHODS)
    assert [row["frames"] for row in report["flashvid"]] == [2, 4]
    for name in METHODS:
        assert any(line.startswith(name) for line in printed)


def test_what_is_saved_is_prefill_and_the_stages_of_flashvid_are_parts_of_its_time(capsys):
    assert main(["compression", *SMALL, "--retention", "0.5"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    layer = {int(rows): seconds for rows, seconds in report["layer"].items()}
    frames = next(row for row in report["methods"] if row["method"] == "frames")
    assert frames["tokens"] == [32, 32]
    saved = frames["prefill_saved"]
    assert saved == pytest.approx(28 * (layer[64] - layer[32]))
    if saved > 0:  # on a busy machine fewer rows may take longer
        assert frames["share"] == pytest.approx(frames["compress"] / saved)
    else:
        assert frames["share"] is None
    for row in report["flashvid"]:
        stages = [row[name] for name in ("DySeg", "ADTS", "TSTM", "DPC-kNN")]
        assert all(0 < seconds < row["total"] for seconds in stages)
        assert sum(stages) <= row["total"]


def test_where_all_tokens_are_kept_before_the_llm_no_stage_took_time(capsys):
    assert main(["compression", *SMALL, "--retention", "0.9"]) == 0
    for row in json.loads(capsys.readouterr().out.splitlines()[-1])["flashvid"]:
        assert row["DySeg"] == row["TSTM"] == 0 < row["total"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--frames", "8,x"], "Frames are '8,x', wanted whole numbers"),
        (["--frames", "0"], "Frames: 0 came, wanted 1 to 512"),
        (["--tokens", "0"], "Tokens: 0 came"),
        (["--width", "100"], "Width is 100, wanted a multiple of 128"),
        (["--retention", "1"], "below 1"),
        (["--repeats", "0"], "Repeats: 0 came"),
    ],
)
def test_a_bad_size_is_one_sentence_and_exit_status_2(arguments, sentence, capsys):
    assert main(["compression", *SMALL, *arguments]) == 2
    assert sentence in capsys.readouterr().err
