"""The border: whatever a program sends becomes a job or one sentence."""

import pytest

from app.request import read_job
from app.settings import EXAMPLES

PICTURE = EXAMPLES / "scene-1.png"


def read(picture=PICTURE, question="Where?", model="embedded-image", methods=("nuwa",), **options):
    return read_job(picture, question, model, methods, options.pop("ratio", 0.5), **options)


def test_vanilla_is_always_first_and_never_twice():
    job = read(methods=["nuwa:paper", "vanilla", "fastv"], positions="perc")
    assert [method.name for method in job.methods] == ["vanilla", "nuwa", "fastv"]
    assert [method.numbering for method in job.methods] == ["published", "perc", "perc"]


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"methods": None}, "wanted a list of names"),
        ({"methods": "nuwa"}, "wanted a list of names"),
        ({"methods": [["nuwa"]]}, "wanted a list of names"),
        ({"methods": ["nuwa:gone"]}, "Unknown Nüwa preset"),
        ({"methods": ["random", "nuwa", "fastv", "pooling"]}, "5 lanes came"),
        ({"model": None}, "There is no model None"),
        ({"question": None}, "question is empty"),
        ({"question": "Where \udcff?"}, "bytes that are no text"),
        ({"ratio": None}, "above 0 and at most 1"),
        ({"ratio": "0.5"}, "above 0 and at most 1"),
        ({"ratio": 0.005}, "wanted a number from 0.01"),
        ({"positions": "left"}, "numbering is 'left', wanted one of published"),
        ({"max_new_tokens": None}, "Max new tokens is None"),
        ({"max_new_tokens": 1.5}, "Max new tokens is 1.5"),
        ({"max_new_tokens": 10**6}, "wanted 1 to 128"),
        ({"temperature": None}, "Temperature is None"),
        ({"temperature": float("nan")}, "Temperature is nan"),
        ({"seed": None}, "Seed is None"),
        ({"seed": 2**70}, "wanted a whole number"),
        ({"picture": None}, "No picture came"),
        ({"picture": ""}, "No picture came"),
        ({"picture": "data:image/png;base64," + "A" * 5000}, "is a web address"),
        ({"picture": "a" * 5000}, "There is no file"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_run_is_refused_in_one_short_sentence(sent, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        read(**sent)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200
