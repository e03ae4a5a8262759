"""The endpoint `/compare`, called the way a program calls it."""

from __future__ import annotations

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app.render.summary import conditions_line, lane_rows
from tests.app import factory
from tests.app.browser import served
from tests.app.fake_worker import FakeWorker

QUESTION = "Where is the red ball?"


@pytest.fixture(scope="module")
def worker():
    return FakeWorker()


@pytest.fixture(scope="module")
def client(worker):
    with served(worker) as url:
        yield Client(url, verbose=False)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "ball.png"
    Image.fromarray(factory.picture(320, 240)).save(path)
    return path


def test_it_returns_what_the_page_shows(client, worker, picture):
    result = client.predict(
        upload=handle_file(picture),
        question=QUESTION,
        methods=["visionzip", "nuwa", "pooling"],
        retention_ratio=0.111,
        api_name="/compare",
    )
    *_, done = FakeWorker().run(worker.jobs[-1])
    assert result["conditions"] == conditions_line(done.comparison)
    assert [row["method"] for row in result["lanes"]] == ["vanilla", "visionzip", "nuwa", "pooling"]
    for ours, theirs in zip(result["lanes"], lane_rows(done.comparison), strict=True):
        assert ours["text"] == theirs["text"]
        assert ours["answer"] == theirs["answer"]


def test_it_takes_a_clip_as_well(client, worker, tmp_path):
    clip = factory.clip_file(tmp_path / "ball.mp4")
    result = client.predict(handle_file(clip), QUESTION, num_frames=4, api_name="/compare")
    job = worker.jobs[-1]
    assert job.model == "embedded-video" and len(job.media.frames) == 4
    assert [row["method"] for row in result["lanes"]] == ["vanilla", "flashvid", "fastvid", "ttm"]
    with pytest.raises(Exception, match="takes pictures, and a clip came"):
        client.predict(handle_file(clip), QUESTION, model="embedded-image", api_name="/compare")


def test_all_public_endpoints_are_described_with_types_and_meanings(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert list(described) == ["/compare", "/sweep", "/cases", "/case"]
    types = {}
    for endpoint in (described["/compare"], described["/sweep"]):
        for one in endpoint["parameters"]:
            assert one["python_type"]["description"].endswith("."), one["parameter_name"]
            types[one["parameter_name"]] = one["python_type"]["type"]
    assert list(types)[:5] == ["upload", "question", "model", "methods", "retention_ratio"]
    assert types["upload"] == "filepath" and types["methods"] == "list[str]"
    assert types["retention_ratio"] == "float" and types["seed"] == "int"
    assert types["overlays"] == "bool" and types["ratios"] == "list[float]"


def test_record_pictures_and_token_maps_come_if_they_are_asked_for(client, picture):
    asked = {"upload": handle_file(picture), "question": QUESTION, "methods": ["nuwa"]}
    plain = client.predict(**asked, api_name="/compare")
    assert plain["record"]["question"] == QUESTION and not {"overlays", "arrays"} & plain.keys()
    full = client.predict(**asked, overlays=True, arrays=True, api_name="/compare")
    vanilla, nuwa = full["overlays"]
    assert vanilla.keys() == nuwa.keys() == {"overlay", "boxes"}
    with Image.open(nuwa["overlay"]) as drawn:
        assert drawn.size == (960, 720)
    step = {name: full["arrays"][f"lane1.step0.{name}"] for name in ("rows", "cols", "weights")}
    assert len(step["rows"]) == len(step["cols"]) == len(step["weights"]) > 112


def test_a_sweep_returns_every_point_and_a_sentence_for_each_method(client, worker, picture):
    result = client.predict(
        upload=handle_file(picture),
        question=QUESTION,
        methods=["nuwa", "fastv"],
        ratios=[0.5, 0.1],
        api_name="/sweep",
    )
    assert [(one["method"], one["ratio"]) for one in result["points"]] == [
        ("Vanilla", 1), ("Nüwa", 0.5), ("Nüwa", 0.1), ("FastV", 0.5), ("FastV", 0.1)
    ]  # fmt: skip
    assert len(result["sentences"]) == 3 and worker.jobs[-1].at_once == 1
    with pytest.raises(Exception, match="Ratios are"):
        client.predict(handle_file(picture), QUESTION, ratios=[], api_name="/sweep")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"question": ""}, "question is empty"),
        ({"methods": 5}, "wanted a list of names"),
        ({"methods": [["nuwa"]]}, "wanted a list of names"),
        ({"retention_ratio": None}, "Retention ratio is None"),
        ({"retention_ratio": "a lot"}, "Retention ratio is a lot"),
        ({"max_new_tokens": 2.5}, r"Max new tokens is 2\.5"),
        ({"temperature": "hot"}, "Temperature is hot"),
        ({"positions": "sideways"}, "sideways"),
    ],
)
def test_a_bad_argument_is_one_sentence(client, picture, changes, sentence):
    arguments = {"upload": handle_file(picture), "question": QUESTION} | changes
    with pytest.raises(Exception, match=sentence):
        client.predict(**arguments, api_name="/compare")


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ("http://192.0.2.1/x.png", "web address"),
        ("ball.png", "not an uploaded file"),
        ({"path": "\x00"}, "not an uploaded file"),
        ({"path": "http://192.0.2.1/x.png", "meta": {"_type": "gradio.FileData"}}, "web address"),
        ({"url": "data:image/png;base64,AAAA", "path": "x"}, "not a supported picture"),
        ({"url": "data:image/svg+xml;base64,PHN2Zy8+", "path": "x"}, "contains a web page"),
        ({"url": "data:image/png;base64,A", "path": "x"}, "cannot be decoded"),
    ],
)
def test_what_is_no_upload_is_one_sentence(client, sent, sentence):
    with pytest.raises(Exception, match=sentence):
        client.predict(upload=sent, question=QUESTION, api_name="/compare")


def test_a_file_that_is_no_picture_is_one_sentence(client, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a picture")
    with pytest.raises(Exception, match=r"notes\.txt is not a supported picture"):
        client.predict(handle_file(path), QUESTION, api_name="/compare")
