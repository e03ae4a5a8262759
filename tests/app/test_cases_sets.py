"""Case sets from folders, tables and drawings: good rows become cases, bad rows keep a reason."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from app.cases import sets
from app.cases.record import Case
from app.cases.scores import score
from app.cases.sets import media_of, read_set
from app.settings import Settings
from tests.app.cases import make_folder, picture, write_lines

SETTINGS = Settings()


def png(tone):
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (tone, 0, 0)).save(file, "PNG")
    return file.getvalue()


def read(source, tmp_path, **changes):
    return read_set(str(source), replace(SETTINGS, **changes), tmp_path / "out" / "pictures")


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "set")


def test_a_folder_of_good_and_bad_rows_gives_cases_and_one_reason_for_each_bad_row(
    folder, tmp_path
):
    read_in = read(folder, tmp_path)
    assert len(read_in.cases) == 27 and len(read_in.bad) == 13
    reasons = " | ".join(bad.reason for bad in read_in.bad)
    for part in ("not a supported picture", "no file nowhere.png", "outside the folder", "empty",
                 "no finite number", "encloses nothing", "40 x 20 pixels", "'bleu'", "picture_of",
                 "asks what cases.jsonl, line 1", "a list", "no JSON"):  # fmt: skip
        assert part in reasons
    boxed = read_in.cases[-1]
    assert boxed.box == (0.25, 0.25, 0.75, 0.75) and boxed.metric == "iou"
    assert boxed.tags == ("a", "b") and boxed.place == "cases.jsonl, line 40"


def test_ids_survive_another_order_and_other_file_names(folder, tmp_path):
    before = {case.id for case in read(folder, tmp_path).cases}
    rows = (folder / "cases.jsonl").read_text().splitlines()
    (folder / "0.png").rename(folder / "z.png")
    moved = [row.replace('"0.png"', '"z.png"') for row in reversed(rows)]
    write_lines(folder / "cases.jsonl", moved)
    assert {case.id for case in read(folder, tmp_path).cases} == before


def test_csv_and_parquet_and_vlmevalkit_and_coco_are_read(tmp_path):
    picture(tmp_path / "a.png", 7)
    (tmp_path / "cases.csv").write_text('file,question,answer\na.png,"What, now?",<b>\n')
    (case,) = read(tmp_path, tmp_path).cases
    assert case.question == "What, now?" and case.answers == ("<b>",)

    rows = [{"image": {"bytes": png(1), "path": "x"}, "question": "Where?", "bbox": [4, 2, 8, 8]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    (case,) = (read_in := read(tmp_path / "data.parquet", tmp_path)).cases
    assert case.box == (0.1, 0.1, 0.3, 0.5)
    media = media_of(case, read_in.root, read_in.extracted, 1, SETTINGS)
    assert media.frames[0, 0, 0].tolist() == [1, 0, 0]

    coded = base64.b64encode(png(2)).decode()
    lines = [
        "index\timage\tquestion\tA\tB\tanswer\tcategory",
        f"5\t{coded}\tWhich?\tone\ttwo\tB\tk",
        "6\t5\tWhich now?\tone\ttwo\tA\tk",
    ]
    (tmp_path / "bench.tsv").write_text("\n".join(lines))
    first, second = read(tmp_path / "bench.tsv", tmp_path).cases
    assert first.picture == second.picture and (first.index, second.index) == ("5", "6")
    assert "B. two" in first.question and first.metric == "multiple_choice"
    assert score(first, "(B) two", np.zeros((0, 4))) == 1 and score(first, "A", []) == 0

    coco = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 20, 10]},
            {"id": 2, "image_id": 1, "category_id": 4, "bbox": [0, 0, 10, 10]},
            {"id": 3, "image_id": 1, "category_id": 4, "bbox": [9, 0, 10, 10]},
            {"id": 4, "image_id": 1, "bbox": [9, 0, 9, 9], "sentences": [{"sent": "left one"}]},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    read_in = read(tmp_path / "coco.json", tmp_path)
    assert [case.question for case in read_in.cases] == ["the cat", "left one"]
    assert all(case.locate for case in read_in.cases) and "2 objects" in read_in.bad[0].reason


def test_a_true_answer_or_box_is_never_scored_as_another_one(tmp_path):
    picture(tmp_path / "a.png")
    people = [{"answer": "red", "answer_id": 1}, {"answer": "blue", "answer_id": 2}]
    rows = [
        {"question": "VQA v2", "answers": people},
        {"question": "Where?", "bbox": [0.5005, 0.1, 0.4996, 0.5]},
        {"question": "Index", "choices": ["one", "two"], "answer": 1},
        {"question": "Label", "metric": "yes_no", "answer": "1"},
    ]
    write_lines(tmp_path / "cases.jsonl", [{"file": "a.png", **row} for row in rows])
    read_in = read(tmp_path, tmp_path)
    first, second = read_in.cases
    assert first.answers == ("red", "blue") and second.box == (0.5005, 0.1, 1, 0.6)
    reasons = [bad.reason for bad in read_in.bad]
    assert "the letter of an option" in reasons[0] and "wanted yes or no" in reasons[1]


def test_coco_and_folders_of_parquet_are_refused_above_the_limit(tmp_path):
    picture(tmp_path / "a.png")
    for name in ("a", "b"):
        rows = [{"file": "a.png", "question": f"{name} {number}"} for number in range(3)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    one = {"image_id": 1, "bbox": [0, 0, 9, 9], "caption": "it"}
    coco = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [one] * 6}
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    for source in (tmp_path, tmp_path / "coco.json"):
        with pytest.raises(ValueError, match="TOKENSCOPE_MAX_CASES"):
            read(source, tmp_path, max_cases=5)
    (tmp_path / "coco.json").write_text(json.dumps(coco | {"images": [{"id": 1}]}))
    with pytest.raises(ValueError, match="missing or odd: 'file_name'"):
        read(tmp_path / "coco.json", tmp_path)


def test_a_full_disk_stops_the_reading_of_a_set_instead_of_shrinking_it(tmp_path, monkeypatch):
    rows = [{"image": {"bytes": png(n), "path": "x"}, "question": "Where?"} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    written, write = [], sets.Path.write_bytes

    def cut(path, data):
        written.append(path)
        write(path, data if len(written) < 2 else data[:20])
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sets.Path, "write_bytes", cut)
        with pytest.raises(ValueError, match=r"No space left.*give the same command again"):
            read(tmp_path / "data.parquet", tmp_path)
    again = read(tmp_path / "data.parquet", tmp_path)
    assert len(again.cases) == 3 and not again.bad  # the picture that was cut off is written again


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("cases.csv", "a,b\n1,2\n", "a, b; wanted file"),
        ("cases.csv", "file,question\n" + "x.png,Why?\n" * 30, "more than 20 rows"),
        ("cases.csv", b"file,question\n\xff\xfe,Why?\n", "not UTF-8"),
        ("cases.json", "{", "no JSON"),
        ("cases.parquet", "PAR1", "no readable Parquet"),
        ("cases.xml", "<a/>", "no cases.jsonl"),
    ],
)
def test_a_set_that_is_none_is_refused_in_one_sentence(name, content, wanted, tmp_path):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=wanted):
        read(tmp_path, tmp_path, max_cases=20)


def test_a_table_of_a_million_rows_is_refused_before_a_picture_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sets.Pictures, "case", lambda *_: pytest.fail("a picture is read"))
    (tmp_path / "cases.csv").write_text("file,question\n" + "x.png,Why?\n" * 1_000_000)
    with pytest.raises(ValueError, match=r"more than 20,000 rows.*TOKENSCOPE_MAX_CASES"):
        read(tmp_path, tmp_path)


def test_drawn_cases_are_the_same_again_and_know_their_object(tmp_path):
    first, again = (read("drawn:image:20:3", tmp_path) for _ in range(2))
    assert first.cases == again.cases and len(first.cases) == 20
    assert {case.metric for case in first.cases} == {"iou", "exact_match", "yes_no"}
    colour = next(case for case in first.cases if case.kind == "colour")
    assert colour.box is not None and colour.truth.box is None
    with pytest.raises(ValueError, match="drawn:image:300:7"):
        read("drawn:image", tmp_path)


def test_each_metric_scores_as_its_paper_says():
    none = np.zeros((0, 4))

    def scored(metric, answers, text):
        case = Case("i", "", "q", answers=answers, metric=metric)
        return score(case, text, none)

    assert scored("exact_match", ("Red",), " red. ") == 1
    assert scored("relaxed_accuracy", ("200",), "209") == 1
    assert scored("relaxed_accuracy", ("200",), "211") == 0
    assert scored("vqa_accuracy", ("a dog",) * 2 + ("cat",) * 8, "dog") == pytest.approx(0.6)
    assert scored("yes_no", ("no",), "No, there is none.") == 1
    assert scored("multiple_choice", ("C",), "The answer is (C).") == 1
    assert scored("multiple_choice", ("A",), "Apples") == 0
    boxed = Case("i", "", "q", box=(0, 0, 1, 0.5), metric="iou")
    assert score(boxed, "", np.array([[0, 0, 1, 1.0]])) == 0.5 and score(boxed, "?", none) == 0
