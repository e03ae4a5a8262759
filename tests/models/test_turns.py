"""No lane runs while a model loads, because loading changes the default dtype."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.engine.turns import Turns
from models.loading import load

pytestmark = pytest.mark.checkpoint
SECONDS = 5


def test_models_that_are_loaded_at_once_leave_the_dtype_as_it_was() -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: load("embedded-image", "cpu"), range(8)))
    assert torch.get_default_dtype() == torch.float32


def test_no_step_runs_with_the_dtype_that_a_load_sets() -> None:
    from models.engine.turns import TURNS

    seen, over = set(), threading.Event()

    def steps() -> None:
        while not over.is_set():
            with TURNS.step():
                seen.add(torch.empty(0).dtype)

    stepping = threading.Thread(target=steps)
    stepping.start()
    for _ in range(2):
        load("embedded-image", "cpu")
    over.set()
    stepping.join(SECONDS)
    assert seen == {torch.float32}


def test_steps_run_side_by_side_and_wait_for_a_load() -> None:
    turns, loads, over, steps = Turns(), threading.Event(), threading.Event(), threading.Event()

    def loading() -> None:
        with turns.load():
            loads.set()
            over.wait(SECONDS)

    def stepping() -> None:
        with turns.step():
            steps.set()

    with turns.step():
        side_by_side = threading.Thread(target=stepping)
        side_by_side.start()
        assert steps.wait(SECONDS), "another step is none of its business"
        steps.clear()
        load_thread = threading.Thread(target=loading)
        load_thread.start()
        assert not loads.wait(0.05), "a step is under way"
    assert loads.wait(SECONDS)
    waiting = threading.Thread(target=stepping)
    waiting.start()
    assert not steps.wait(0.05), "a load is under way"
    over.set()
    assert steps.wait(SECONDS)
    for thread in (side_by_side, load_thread, waiting):
        thread.join(SECONDS)


def test_a_step_may_load_a_model() -> None:
    turns, steps = Turns(), threading.Event()
    with turns.step(), turns.load():
        pass

    def stepping() -> None:
        with turns.step():
            steps.set()

    thread = threading.Thread(target=stepping)
    thread.start()
    assert steps.wait(SECONDS), "and leaves the turns as they were"
    thread.join(SECONDS)
