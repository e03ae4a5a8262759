"""A small sample of `make fuzz`."""

from __future__ import annotations

import random
import sys

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.requests import Requests
from tests.fuzz.uploads import fuzz
from tests.fuzz.watch import Watch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify needs Linux"),
]


@pytest.mark.parametrize(("kind", "count"), [("image", 60), ("video", 20)])
def test_a_damaged_upload_is_read_or_refused_in_a_sentence(tmp_path, kind, count):
    outcomes, wrong = fuzz(kind, count, seed=7, folder=tmp_path)
    assert wrong == []
    assert outcomes.total() == count and outcomes["refused"] and outcomes["read"]


def test_an_odd_request_is_answered_or_refused_in_a_sentence(tmp_path):
    asking = Requests(tmp_path)
    try:
        outcomes, wrong = asking.fuzz(30, seed=7)
    finally:
        asking.demo.close(verbose=False)
    assert wrong == []
    assert outcomes.total() == 30 and outcomes["refused"] and outcomes["answered"]


def test_a_file_that_is_opened_is_noticed(tmp_path):
    (tmp_path / "secret").write_text("secret")
    watch = Watch(tmp_path)
    assert not watch.opened()
    (tmp_path / "secret").read_text()
    assert watch.opened() and not watch.opened()


def test_the_same_seed_does_the_same_damage():
    first, again, other = (mutated([bytes(500)], random.Random(one)) for one in ("a", "a", "b"))
    assert first == again != other
