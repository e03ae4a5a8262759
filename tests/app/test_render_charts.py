"""Charts and tables show the numbers of the record."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from app.render.chart import chart_png, chart_svg
from app.render.latency import latency_bars, latency_chart, latency_notes
from app.render.staircase import staircase_chart, staircase_points
from app.render.summary import conditions_line, lane_rows, table
from app.render.text import (
    format_factor,
    format_megabytes,
    format_milliseconds,
    format_number,
    format_percent,
    shorten_middle,
    word_diff,
)
from models.engine.record import Truth
from tests.app import factory


@pytest.fixture(scope="module")
def comparison():
    return factory.comparison()


def cold_first(comparison):
    vanilla = replace(comparison.lanes[0], timeline=factory.timeline(cold=True))
    return replace(comparison, lanes=(vanilla, *comparison.lanes[1:]))


def test_bars_are_the_phases_laid_end_to_end(comparison):
    bars = latency_bars(lane_rows(comparison))
    for lane in comparison.lanes[:3]:
        own = [bar for bar in bars if bar["lane"] == lane.title]
        assert own[-1]["end"] == pytest.approx(1e3 * lane.timeline.total)
        for bar in own:
            assert bar["end"] - bar["start"] == pytest.approx(
                1e3 * lane.timeline.seconds(bar["phase"])
            )
        assert all(a["end"] == b["start"] for a, b in pairwise(own))


def test_the_tick_is_at_the_first_token_and_the_note_has_the_speed_up(comparison):
    notes = latency_notes(lane_rows(comparison))
    vanilla, visionzip = comparison.lanes[:2]
    assert notes[1]["ttft"] == pytest.approx(1e3 * visionzip.timeline.ttft)
    factor = format_factor(vanilla.timeline.ttft / visionzip.timeline.ttft)
    assert notes[1]["note"] == f"{format_milliseconds(visionzip.timeline.ttft)} · {factor}, one run"


def repeated(comparison, *scales):
    """Every lane has run again, once at each of these shares of its time."""
    lanes = []
    for lane in comparison.lanes[:2]:
        runs = [replace(lane.timeline, phases=scaled(lane, scale)) for scale in scales]
        lanes.append(replace(lane, repeats=tuple(runs)))
    return replace(comparison, lanes=tuple(lanes))


def scaled(lane, scale):
    return tuple(replace(one, seconds=scale * one.seconds) for one in lane.timeline.phases)


def test_repeated_runs_give_the_median_and_the_times_between_which_half_of_them_lie(comparison):
    ran = repeated(comparison, 1.04, 0.98, 1, 1.02, 3)
    vanilla, row = lane_rows(ran)
    typical = ran.lanes[1].repeats[3]
    assert row["ttft_ms"] == pytest.approx(1e3 * typical.ttft) and row["runs"] == 5
    low, high = row["ttft_quartiles_ms"]
    assert low < row["ttft_ms"] < high < 1.1 * row["ttft_ms"]
    assert row["text"]["ttft_ms"].startswith(f"{format_milliseconds(typical.ttft)} (")
    assert row["text"]["speedup_ttft"] == format_factor(vanilla["ttft_ms"] / row["ttft_ms"])
    assert "half of the runs" in json.dumps(latency_chart(ran))


@pytest.mark.parametrize(
    ("scales", "load"), [((1, 0.6, 0.7, 1.3, 1.4), "0.3"), ((1, 1, 1, 1, 1), "2.1"), ((), "2.1")]
)
def test_no_speed_up_is_given_where_runs_differ_or_the_machine_is_busy(comparison, scales, load):
    ran = repeated(comparison, *scales)
    where = {**comparison.conditions, "load": f"{load} on 2 cores"}
    row = lane_rows(replace(ran, conditions=where))[1]
    assert row["speedup_ttft"] is None and row["text"]["speedup_ttft"] == "too noisy here"


def test_vanilla_has_no_time_of_compression(comparison):
    ran = replace(comparison.lanes[1], method="vanilla", title="Vanilla")
    rows = lane_rows(replace(comparison, lanes=(ran, comparison.lanes[1])))
    assert [bar["lane"] for bar in latency_bars(rows) if bar["phase"] == "compress"] == [
        "VisionZip"
    ]
    assert not rows[0]["text"]["compress_ms"] and rows[1]["text"]["compress_ms"] == "3.70 ms"


def test_a_cold_lane_is_marked_and_gives_no_speed_up(comparison):
    cold = cold_first(comparison)
    notes = latency_notes(lane_rows(cold))
    assert notes[0]["note"].endswith("cold run")
    assert lane_rows(cold)[1]["speedup_ttft"] is None
    assert "×" not in notes[1]["note"]
    assert "cold: Vanilla" in conditions_line(cold) and "cold" not in conditions_line(comparison)


def test_a_lane_that_failed_keeps_its_row_and_its_reason(comparison):
    rows = lane_rows(comparison)
    assert [row["failure"] is None for row in rows] == [True, True, True, False]
    assert "6.4 %" in rows[3]["failure"]
    assert latency_notes(rows)[3]["note"] == "did not run"
    assert "FastV did not run: FastV keeps 576" in table(comparison)
    assert {point["lane"] for point in staircase_points(comparison)} == {
        "Vanilla",
        "VisionZip",
        "Nüwa",
    }


def test_the_staircase_is_the_trace(comparison):
    for lane in comparison.lanes[:3]:
        points = [p for p in staircase_points(comparison) if p["lane"] == lane.title]
        assert [p["tokens"] for p in points[:-1]] == lane.trace.per_layer.tolist()
        assert points[-1]["label"] == f"{lane.trace.per_layer[-1]} {lane.title}"


def test_the_staircase_goes_on_into_decode_if_a_lane_reads_less_there(comparison):
    first, second, *rest = comparison.lanes
    num_layers = second.trace.num_layers
    reads = (64.0,) + (12.5,) * (num_layers - 1)
    longer = replace(comparison, lanes=(first, replace(second, reads=reads), *rest))
    points = staircase_points(longer)
    lane = [point for point in points if point["lane"] == second.title]
    assert [point["tokens"] for point in lane[num_layers:-1]] == list(reads)
    assert lane[num_layers + 1]["from"] == "layer 1 in decode" and lane[-1]["end"]
    others = [point["tokens"] for point in points if point["lane"] == first.title]
    assert others == [*first.trace.per_layer.tolist() * 2, first.trace.per_layer[-1]]
    axis = staircase_chart(longer)["layer"][0]["encoding"]["x"]["axis"]
    assert f"datum.value - {num_layers}" in axis["labelExpr"]


def test_lanes_of_a_staircase_differ_beyond_colour(comparison):
    spec = staircase_chart(comparison)
    line, mark = spec["layer"][0]["encoding"], spec["layer"][1]["encoding"]
    lanes = line["strokeDash"]["scale"]["domain"]
    assert len({tuple(dash) for dash in line["strokeDash"]["scale"]["range"][: len(lanes)]}) == 3
    assert len(set(mark["shape"]["scale"]["range"][: len(lanes)])) == 3


def test_end_labels_never_lie_on_each_other(comparison):
    same = replace(comparison, lanes=(comparison.lanes[1],) * 4)
    spec = staircase_chart(same)
    labels = [layer for layer in spec["layer"] if "layer" in layer]
    heights = sorted(layer["encoding"]["y"]["value"] for layer in labels)
    assert len(heights) == 4 and min(np.diff(heights)) >= 14.9


def test_charts_are_responsive_transparent_and_in_the_text_colour_of_the_page(comparison):
    for spec in (latency_chart(comparison), staircase_chart(comparison)):
        assert spec["width"] == "container" and spec["background"] == "transparent"
        assert "currentColor" in json.dumps(spec) and "system-ui" in spec["config"]["font"]


def test_a_chart_file_has_its_conditions_and_a_white_background(comparison, tmp_path):
    chart_svg(latency_chart(comparison), tmp_path / "latency.svg")
    svg = (tmp_path / "latency.svg").read_text().replace("\u00a0", " ")
    assert "NVIDIA H100" in svg and "currentColor" not in svg and "×3.3" in svg
    chart_png(staircase_chart(comparison), tmp_path / "staircase.png", scale=1)
    with Image.open(tmp_path / "staircase.png") as picture:
        assert picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_a_comparison_of_failed_lanes_is_still_drawn(comparison):
    failed = replace(comparison, lanes=comparison.lanes[3:])
    assert latency_chart(failed) and staircase_chart(failed)
    assert "did not run" in table(failed)


def test_rows_are_json_and_hold_the_records_numbers(comparison):
    rows = json.loads(json.dumps(lane_rows(comparison), allow_nan=False))
    nuwa = rows[2]
    assert nuwa["stages"] == [576, 112, 16] and nuwa["text"]["tokens"] == "576 → 112 → 16"
    assert nuwa["measured_ratio"] == pytest.approx(1 / 9)
    assert nuwa["averages"] == pytest.approx({"processed": 64, "cached": 64, "handed_on": 64})
    assert nuwa["text"]["averages"] == "64.0"
    assert nuwa["text"]["ratio"] == "11.1 % of the visual tokens"
    assert rows[0]["text"]["tokens"] == "576" and rows[0]["speedup_ttft"] is None
    assert nuwa["exact_match"] is False and rows[0]["exact_match"] is True
    assert rows[0]["iou"] > 0.8 > 0.1 > rows[1]["iou"]


def test_without_a_true_answer_there_is_no_verdict(comparison):
    rows = lane_rows(replace(comparison, truth=None))
    assert rows[0]["iou"] is None and rows[0]["exact_match"] is None
    assert "IoU" not in table(replace(comparison, truth=None))


def test_an_answer_without_a_box_has_iou_0_if_another_lane_gave_one(comparison):
    mute = replace(comparison.lanes[1], boxes=np.zeros((0, 4), dtype=np.float32))
    lanes = (comparison.lanes[0], mute)
    assert lane_rows(replace(comparison, lanes=lanes))[1]["iou"] == 0.0
    alone = replace(comparison, lanes=(mute,), truth=Truth("red", (0, 0, 1, 1)))
    assert lane_rows(alone)[0]["iou"] is None


def test_numbers_have_a_fixed_number_of_significant_figures():
    assert [format_milliseconds(s) for s in (0.000385, 0.0412, 0.9996, 1.234, 12.3456)] == [
        "0.385 ms", "41.2 ms", "1,000 ms", "1,230 ms", "12,300 ms",
    ]  # fmt: skip
    assert [format_percent(s) for s in (1 / 9, 1, 0, 0.005)] == [
        "11.1 %",
        "100 %",
        "0 %",
        "0.500 %",
    ]
    assert [format_factor(f) for f in (2.93, 12.4, 0.834, 1.0)] == ["×2.9", "×12", "×0.83", "×1.0"]
    assert format_megabytes(61_900_000) == "61.9 MB"
    assert format_number(float("inf")) == "–"


def test_words_that_differ_from_vanilla_are_found():
    words = word_diff("a red ball near a lake", "a red ball near the big lake")
    assert [word for word, differs in words if differs] == ["the", "big"]
    assert [word for word, _ in words] == ["a", "red", "ball", "near", "the", "big", "lake"]
    assert word_diff("", "") == []


def test_a_box_is_judged_by_its_iou_and_not_by_its_text(comparison):
    boxed = replace(comparison, truth=Truth("[0.56, 0.38, 0.80, 0.72]", (0.56, 0.38, 0.80, 0.72)))
    rows = lane_rows(boxed)
    assert rows[0]["iou"] > 0.8 and rows[0]["exact_match"] is None
    assert "exact" not in table(boxed)


def test_a_table_has_no_control_characters(comparison):
    loud = replace(comparison.lanes[0], answer="red\x1b[2J\nball‮ " + "x" * 90)
    text = table(replace(comparison, lanes=(loud,)))
    assert "\x1b" not in text and "‮" not in text and len(text.splitlines()) == 2


def test_a_long_label_is_cut_in_the_middle():
    one, other = "VisionZip before + FastV inside", "VisionZip before + FastV inside, RPME"
    assert shorten_middle(one, 15) == "VisionZ…inside"
    assert shorten_middle(other, 15) == "VisionZ…e, RPME"
    assert shorten_middle("Average pooling", 15) == "Average pooling"
