"""The border: whatever a program sends becomes a job or one sentence."""

import pytest

from app import example_uploads
from app.drawn_uploads import SAMPLED_FRAMES
from app.jobs import LANES, default_card, read_job
from app.request import Request
from app.settings import EXAMPLES, Settings
from pruning.errors import ExplainedError
from tests.app import factory

PICTURE = EXAMPLES / "scene-1.png"


def read(upload=PICTURE, settings=None, **changes):
    """The job of a request with one thing changed."""
    sent = {
        "question": "Where?",
        "model": "embedded-image",
        "methods": ("nuwa",),
        "retention_ratio": 0.5,
    }
    return read_job(Request(upload=upload, **sent | changes), settings)


def test_vanilla_is_always_first_and_never_twice():
    job = read(methods=["nuwa:paper", "vanilla", "fastv"], positions="perc")
    assert [method.name for method in job.methods] == ["vanilla", "nuwa", "fastv"]
    assert [method.numbering for method in job.methods] == ["published", "perc", "perc"]


def test_parts_are_composed_at_the_one_ratio_and_numbered_as_asked():
    name = "visionzip.before+fastv.inner"
    for asked, options, run in (
        (name, {}, name),
        (f"{name}+rpme", {}, f"{name}+rpme"),
        (name, {"positions": "perc"}, f"{name}+perc"),
    ):
        _, method = read(methods=[asked], retention_ratio=0.25, **options).methods
        assert method.name == run and method.retention_ratio == 0.25


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return factory.clip_file(tmp_path_factory.mktemp("clips") / "ball.mp4", 20)


def test_what_is_left_out_follows_from_the_upload(clip):
    for path, kind, model in (
        (PICTURE, "image", "embedded-image"),
        (clip, "video", "embedded-video"),
    ):
        job = read_job(Request(upload=path, question="Where?"))
        assert job.model == model and job.media.kind == kind
        assert tuple(method.name for method in job.methods[1:]) == LANES[kind]


def test_a_clip_is_sampled_as_the_model_was_made_for_unless_a_number_is_given(clip):
    asked = {"model": "embedded-video", "methods": ["ttm"]}
    assert len(read(clip, **asked).media.frames) == SAMPLED_FRAMES
    assert len(read(clip, **asked, num_frames=5.0).media.frames) == 5
    job = read(clip, **asked, num_frames=30)
    assert len(job.media.frames) == 20 and "20 frames" in job.media.note


@pytest.mark.parametrize("count", [0, 65, 2.5, "8"])
def test_a_number_of_frames_out_of_range_is_refused(clip, count):
    with pytest.raises(ValueError, match=f"Frames is {count}, wanted .* 1 to 64"):
        read(clip, model="embedded-video", num_frames=count)


def test_an_upload_of_the_wrong_kind_is_refused_with_the_models_that_fit(clip):
    with pytest.raises(
        ValueError, match=r"takes pictures, and a clip came; choose .*embedded-video"
    ):
        read(clip, model="embedded-image")
    with pytest.raises(
        ValueError, match=r"takes clips, and a picture came; choose .*embedded-image"
    ):
        read(model="embedded-video")


def test_a_method_for_clips_reaches_its_lane_with_a_picture_where_it_says_so():
    assert [method.name for method in read(methods=["flashvid"]).methods] == ["vanilla", "flashvid"]


def test_an_unknown_method_is_answered_with_those_that_fit():
    with pytest.raises(ValueError, match="Unknown method 'zip'") as refusal:
        read(methods=["zip"])
    assert "nuwa" in str(refusal.value) and "flashvid" not in str(refusal.value)


def test_the_truth_of_an_example_clip_is_known_by_its_file(clip, monkeypatch):
    box = [0.5, 0.5, 0.8, 0.8]
    known = [
        {"question": "Which way?", "answer": "right"},
        {"question": "Where?", "answer": "", "box": box},
    ]
    index = (
        {
            "file": "clip-1.mp4",
            "digest": example_uploads.file_digest(clip),
            "frames": SAMPLED_FRAMES,
            "questions": known,
        },
    )
    monkeypatch.setattr(example_uploads, "examples", lambda: index)

    def truth(upload, question, **options):
        return read_job(Request(upload=upload, question=question, **options)).truth

    assert truth(clip, "which way?").answer == "right"
    assert truth(clip, "Where?").box == tuple(box)
    assert truth(clip, "Where?", num_frames=4).box is None, "of another last frame"
    assert truth(PICTURE, "Where?") is None
    assert truth(clip, "Why?") is None


def test_the_model_that_is_set_is_taken_where_it_fits():
    assert default_card("image", Settings(model="embedded-video")).name == "embedded-image"
    assert default_card("video", Settings(model="embedded-video")).name == "embedded-video"


@pytest.mark.parametrize("model", ["llava-1.5-7b", "llava-1.5-7b@random"])
def test_a_model_that_is_set_is_offered_whatever_its_weights(picture, model):
    assert read(picture, Settings(model=model), model=model).model == model


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"methods": "nuwa"}, "wanted a list of names"),
        ({"methods": [["nuwa"]]}, "wanted a list of names"),
        ({"methods": ["nuwa:gone"]}, "Unknown Nüwa preset"),
        ({"methods": ["nuwa.inner+zip.before"]}, "Unknown before-LLM part 'zip'"),
        ({"methods": ["nuwa.before+" + "x" * 5000]}, "Unknown part 'xxx"),
        ({"methods": ["random", "nuwa", "fastv", "pooling"]}, "5 lanes came"),
        ({"model": None}, "There is no model None"),
        (
            {"model": "llava-1.5-7b"},
            "llava-1.5-7b is not offered here. Choose one of embedded-image",
        ),
        ({"model": "llava-1.5-7b@random"}, "is not offered here"),
        ({"question": None}, "question is empty"),
        ({"question": "x" * 5000}, "5,000 characters"),
        ({"question": "Where \udcff?"}, "bytes that are not text"),
        ({"retention_ratio": None}, "above 0 and at most 1"),
        ({"retention_ratio": "0.5"}, "above 0 and at most 1"),
        ({"retention_ratio": 0.005}, "wanted a number from 0.01"),
        ({"retention_ratio": 1.5}, "Retention ratio is 1.5"),
        ({"positions": ["rpme"]}, "wanted one of published"),
        ({"positions": "left"}, "numbering is 'left', wanted one of published"),
        ({"max_new_tokens": None}, "Max new tokens is None"),
        ({"max_new_tokens": 0}, "Max new tokens is 0"),
        ({"max_new_tokens": 1.5}, "Max new tokens is 1.5"),
        ({"max_new_tokens": 10**6}, "wanted a whole number from 1 to 128"),
        ({"temperature": None}, "Temperature is None"),
        ({"temperature": float("nan")}, "Temperature is nan"),
        ({"temperature": 1e-39}, "Temperature is 1e-39, wanted 0 .greedy., or 0.01 to 2"),
        ({"temperature": [0]}, "Temperature is .0."),
        ({"seed": None}, "Seed is None"),
        ({"seed": True}, "Seed is True, wanted a whole number"),
        ({"temperature": True}, "Temperature is True"),
        ({"temperature": False}, "Temperature is False"),
        ({"max_new_tokens": True}, "Max new tokens is True"),
        ({"retention_ratio": True}, "Retention ratio is True"),
        ({"seed": -1}, "Seed is -1"),
        ({"seed": 2**70}, "wanted a whole number"),
        ({"upload": None}, "No picture or clip came"),
        ({"upload": ""}, "No picture or clip came"),
        ({"upload": "data:image/png;base64," + "A" * 5000}, "is a web address"),
        ({"upload": "a" * 5000}, "There is no file"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_run_is_refused_in_one_short_sentence(sent, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        read(**sent)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400


def test_a_sweep_asks_vanilla_once_and_every_method_at_every_ratio(picture):
    settings = Settings()
    request = Request(upload=picture, question="Where?", methods=["nuwa", "fastv"])
    job = read_job(request, settings, ratios=[0.2, 0.5, 0.2])
    ran = [(one.name, getattr(one, "retention_ratio", None)) for one in job.methods]
    assert job.ratios == (0.5, 0.2) and job.at_once == 1
    assert ran == [
        ("vanilla", None), ("nuwa", 0.5), ("nuwa", 0.2), ("fastv", 0.5), ("fastv", 0.2)
    ]  # fmt: skip
    for wrong in (["a"], [0.5, 2], [0.5] * 13, "0.5"):
        with pytest.raises(ExplainedError, match=r"Retention ratio is|Ratios are"):
            read_job(request, settings, ratios=wrong)
