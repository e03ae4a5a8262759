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


def test_it_is_the_only_public_endpoint_and_it_is_described(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert list(described) == ["/compare"]
    names = [parameter["parameter_name"] for parameter in described["/compare"]["parameters"]]
    assert names[:5] == ["upload", "question", "model", "methods", "retention_ratio"]


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
