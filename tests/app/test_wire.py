"""Answers of the reading process are validated."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.reading.wire import FailedError, pack_failure, pack_media, unpack
from models.uploads.media import MediaError, drawn

pytestmark = pytest.mark.security

MEDIA = drawn(np.full((4, 5, 3), 7, np.uint8))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1, 4, 5, 4]},
        {"shape": [10**9, 10**9, 10**9, 3]},
        {"shape": "four"},
        {"times": [0.0, 1.0]},
        {"times": ["now"]},
        {"kind": "page"},
        {"times": [float("nan")]},
        {"read_seconds": None},
        {"read_seconds": float("inf")},
        {"seconds": float("nan")},
    ],
    ids=str,
)
def test_an_inconsistent_answer_is_refused(changes):
    line, pixels = pack_media(MEDIA)
    assert unpack(bytearray(line + pixels)).digest == MEDIA.digest
    line = json.dumps(json.loads(line) | changes).encode() + b"\n"
    with pytest.raises((ValueError, KeyError, TypeError)) as refused:
        unpack(bytearray(line + pixels))
    assert not isinstance(refused.value, MediaError)


@pytest.mark.parametrize("end", [0, 10, -1])
def test_an_incomplete_answer_is_refused(end):
    line, pixels = pack_media(MEDIA)
    with pytest.raises(ValueError, match=re.compile("answer|reshape|buffer", re.I)):
        unpack(bytearray((line + pixels)[:end]))


def test_the_error_of_a_reading_is_logged_by_type_and_places_only():
    def fall():
        raise RuntimeError("/private/a letter.png")

    with pytest.raises(RuntimeError) as fell:
        fall()
    with pytest.raises(FailedError, match=r"RuntimeError at test_wire\.py.* fall") as failed:
        unpack(bytearray(pack_failure(fell.value)))
    assert "letter" not in str(failed.value)
    forged = json.dumps({"failed": "/private/a letter.png"}).encode() + b"\n"
    with pytest.raises(FailedError, match="not a valid failure"):
        unpack(bytearray(forged))
