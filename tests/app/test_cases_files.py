"""Lanes from logs of other programs, and cases in files for other programs."""

import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook
from PIL import Image

from app.__main__ import main
from app.cases.exports import LEFT_OUT, escape_cell, export
from app.cases.filters import Filter
from app.cases.imports import import_file
from app.cases.page_file import _pictures as drawn_lanes
from app.cases.people import People
from app.cases.store import Run, RunError
from app.page.cases_html import case_head
from app.recording import storage
from app.render.overlay import overlay
from tests.app.cases import NUWA, SETTINGS, ZIPPED, make_run, table_of

HASH = "9f86d081884c7d659a2feaa0c55ad015"


def sample(doc_id, answer, **metrics):
    """A line of lmms-eval 0.7 with --log_samples."""
    question = f"Is there a dog number {doc_id}?"
    return {
        "doc_id": doc_id,
        "doc": {
            "question_id": doc_id,
            "question": question,
            "answer": "yes",
            "category": "popular",
        },
        "target": "yes",
        "arguments": [question + "\nAnswer the question using a single word or phrase."],
        "resps": [[answer]],
        "filtered_resps": [answer],
        "doc_hash": HASH,
        "prompt_hash": HASH,
        "target_hash": HASH,
        **metrics,
    }


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_samples_of_lmms_eval_become_lanes_without_pictures(tmp_path):
    run = tmp_path / "run"
    first = [sample(0, "Yes"), sample(1, "No"), {"doc_id": 2, "filtered_resps": []}, sample(0, "x")]
    bad = import_file(lines(tmp_path / "20260101_samples_pope.jsonl", first), run, SETTINGS, "a")
    assert [one.place.rsplit(" ")[-1] for one in bad] == ["3", "4"]
    second = [sample(0, "a dog", pope_accuracy=1.0), sample(1, "a dog", pope_accuracy=0.0)]
    import_file(lines(tmp_path / "b.jsonl", second), run, SETTINGS)
    opened = Run(run)
    assert opened.lanes == ["a", "b"]
    assert {one["source"] for one in opened.imported} == {"lmms-eval"}
    right = table_of(opened).figure("right")
    assert right["a"].tolist() == [True, False] and right["b"].tolist() == [True, False]
    with pytest.raises(ValueError, match="not known here"):
        opened.comparison(next(iter(opened.cases)))
    with pytest.raises(RunError, match="--lane"):
        import_file(tmp_path / "b.jsonl", run, SETTINGS)


def test_a_score_of_lmms_eval_is_a_known_metric_and_no_other_number(tmp_path):
    given = [
        {"pope_recall": {"score": 1.0}, "pope_accuracy": {"score": 0.0}},  # as its task logs them
        {"exact_match": 0.6, "submission": {"answer": "No"}},  # VQA v2
        {"seconds": 0.9, "acc": 7},  # no score: judged here
    ]
    rows = [sample(number, "No", **metrics) for number, metrics in enumerate(given)]
    import_file(lines(tmp_path / "log.jsonl", rows), tmp_path / "run", SETTINGS)
    results = Run(tmp_path / "run").results
    assert results.score.tolist() == pytest.approx([0, 0.6, 0])
    assert results.right.tolist() == [False, True, False]


def test_predictions_of_vlmevalkit_join_a_run_by_index(tmp_path):
    run = make_run(tmp_path / "run")
    cases = list(run.cases.values())
    sheet = Workbook()
    sheet.active.append(["index", "question", "answer", "prediction", "category"])
    for case in cases[:5]:
        sheet.active.append([int(case.index), case.question, "yes", "yes", "k"])
    sheet.active.append([5, "Quite another question?", "yes", "no", "k"])
    sheet.save(tmp_path / "LLaVA_MME.xlsx")
    bad = import_file(tmp_path / "LLaVA_MME.xlsx", run.folder, SETTINGS)
    assert len(bad) == 1 and "quite another" in bad[0].reason
    answers = table_of(Run(run.folder)).figure("answer")["LLaVA_MME"]
    assert answers.notna().sum() == 5
    opened = Run(run.folder).comparison(cases[0].id)
    assert len(opened.lanes) == 3  # the imported lane has no tokens
    table = {"index": ["0"], "question": [cases[0].question], "prediction": ["no"]}
    text = "\n".join("\t".join(cells) for cells in ([*table], [c[0] for c in table.values()]))
    (tmp_path / "again.tsv").write_text(text)
    assert import_file(tmp_path / "again.tsv", run.folder, SETTINGS) == []


def test_a_list_of_kept_tokens_is_drawn_by_our_overlay(tmp_path):
    Image.new("RGB", (48, 48), "white").save(tmp_path / "a.png")
    row = {"file": "a.png", "question": "Where?", "prediction": "there", "grid": [4, 4]}
    good = row | {"layers": 8, "kept": {"0": [0, 1, 5, 9], "4": [5]}, "bbox": [0, 0, 12, 12]}
    twice = good | {"question": "What?", "kept": {"0": [0, 0]}}
    outside = good | {"question": "Who?", "kept": {"0": [3], "4": [2]}}
    path = lines(tmp_path / "vllm.jsonl", [good, twice, outside])
    bad = import_file(path, tmp_path / "run", SETTINGS)
    assert len(bad) == 2 and "not different ones" in bad[0].reason
    run = Run(tmp_path / "run")
    (lane,) = run.comparison(next(iter(run.cases))).lanes
    assert lane.trace.per_layer.tolist() == [4] * 4 + [1] * 4
    assert run.results.iloc[0].reason == "object dropped"
    drawn = np.asarray(overlay(np.full((48, 48, 3), 255, np.uint8), lane.trace, size=96))
    assert drawn[36, 36].min() > 240 > drawn[84, 84].min()  # token 5 is kept, token 15 is dropped
    unboxed = {name: value for name, value in good.items() if name != "bbox"}
    import_file(lines(tmp_path / "again.jsonl", [unboxed]), run.folder, SETTINGS)
    second = Run(run.folder).results.query("lane == 'again'").iloc[0]
    assert second.right == False and second.reason == "object dropped"  # noqa: E712  by the run's


def test_an_empty_prediction_is_an_answer_and_an_odd_row_costs_itself(tmp_path):
    row = {"question": "Is it?", "answer": "yes"}
    path = lines(
        tmp_path / "a.jsonl", [row | {"index": 0}, row | {"index": 1, "prediction": "yes"}]
    )
    assert import_file(path, tmp_path / "run", SETTINGS) == []
    assert Run(tmp_path / "run").results.right.tolist() == [False, True]
    Image.new("RGB", (48, 48), "white").save(tmp_path / "a.png")
    row = {"file": "a.png", "question": "Where?", "grid": [4, 4], "kept": {"0": [1]}}
    path = lines(tmp_path / "k.jsonl", [row, row | {"grid": [float("inf"), 4]}])
    (bad,) = import_file(path, tmp_path / "kept", SETTINGS)
    assert "line 2" in bad.place and "odd" in bad.reason


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("runs") / "run")
    people, case = People(run.folder), next(iter(run.cases))
    people.note(case, "=HYPERLINK(1)<script>")
    people.tag(case, "@odd")
    return table_of(run)


def test_cases_are_written_for_other_programs(table, tmp_path):
    chosen = table.choose(Filter())
    rows = [json.loads(line) for line in export(table, chosen, tmp_path / "a.jsonl").open()]
    assert len(rows) == 20 and rows[0]["lanes"][ZIPPED]["answer"] == "no"
    written = list(csv.reader(export(table, chosen, tmp_path / "a.csv").open(encoding="utf-8-sig")))
    assert len(written) == 21 and "'=HYPERLINK(1)<script>" in written[1] and "'@odd" in written[1]
    flat = pq.read_table(export(table, chosen, tmp_path / "a.parquet"))
    assert len(flat) == 60 and set(flat["lane"].to_pylist()) == {"vanilla", ZIPPED, NUWA}
    compared = json.loads(export(table, chosen, tmp_path / "a.json").read_text())
    assert [model["name"] for model in compared["models"]] == ["vanilla", ZIPPED]
    assert {-1.5, 1.5} >= {one["score"] for one in compared["examples"]} - {0.0}
    folder = export(table, chosen[:2], tmp_path / "recordings")
    assert len(storage.load(folder / chosen[0]).lanes) == 3
    with pytest.raises(ValueError, match="unknown ending"):
        export(table, chosen, tmp_path / "a.docx")
    with pytest.raises(ValueError, match="No case"):
        export(table, [], tmp_path / "a.csv")


def test_what_became_of_the_objects_tokens_is_on_the_page_and_in_the_files(table, tmp_path):
    fates = [table.figure(name)[ZIPPED] for name in ("object_kept", "object_merged", "on_object")]
    case = next(iter(fates[1].index[(fates[0] < 1) & (fates[1] > 0) & fates[2].notna()]))
    kept, merged, on_object = (f"{fate[case]:.0%}" for fate in fates)
    head = case_head(table, Filter(), case, [case])
    row = head.partition(f"<tr><th>{ZIPPED}")[2].partition("</tr>")[0]
    assert f"<td>{kept}</td><td>{merged}</td>" in row and f"<td>{on_object}</td>" in row
    page = export(table, [case], tmp_path / "a.html").read_text()
    assert f"kept {kept}, merged {merged}, " in page
    assert f"survivor on the object {on_object}" in page
    line = json.loads(export(table, [case], tmp_path / "a.jsonl").read_text())
    assert f"{line['lanes'][ZIPPED]['on_object']:.0%}" == on_object


def test_the_page_in_a_file_draws_the_boxes_of_every_lane_and_the_true_one(table):
    case = next(one for one, case in table.run.cases.items() if case.metric == "iou")
    names, compared = table.run.open(case)
    bare = [replace(lane, boxes=np.zeros((0, 4))) for lane in compared.lanes]
    whole = dict(drawn_lanes(names, compared))
    assert len(whole) == 3
    for changes in ({"lanes": tuple(bare)}, {"truth": None}):
        without = dict(drawn_lanes(names, replace(compared, **changes)))
        assert all(whole[name] != without[name] for name in names)


def test_recordings_go_on_after_a_case_without_picture_and_name_it(tmp_path, capsys):
    Image.new("RGB", (48, 48), "white").save(tmp_path / "a.png")
    Image.new("RGB", (48, 48), "black").save(tmp_path / "b.png")
    row = {"question": "Where?", "grid": [4, 4], "layers": 8, "kept": {"0": [1]}}
    both = [row | {"file": "a.png"}, row | {"file": "b.png"}]
    import_file(lines(tmp_path / "kept.jsonl", both), tmp_path / "run", SETTINGS)
    gone, there = Run(tmp_path / "run").cases
    (tmp_path / "a.png").unlink()
    main(["cases", "export", str(tmp_path / "run"), str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([LEFT_OUT, there])
    printed = capsys.readouterr().out
    assert (
        f"left out: {gone}: There is no file a.png" in printed and "1 of 2 cases saved" in printed
    )
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=r"No case could be recorded.*no file a\.png"):
        export(table_of(Run(tmp_path / "run")), [gone, there], tmp_path / "none")


@pytest.mark.security
def test_no_cell_is_a_formula_and_no_text_is_html(table, tmp_path):
    assert escape_cell("=1+1") == "'=1+1" and escape_cell(["-a", "b"]) == "'-a, b"
    assert escape_cell(-1.5) == -1.5
    chosen = table.choose(Filter())[:4]
    page = export(table, chosen, tmp_path / "a.html").read_text()
    assert "&lt;script&gt;" in page and page.count("<script") == 1
    assert len(page) < 30e6 * 4 / 100 and page.count("data:image/webp") == 3 * 4
