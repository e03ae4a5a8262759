"""The local worker: lanes in turn, separate failures, cancellation, warm-up and conditions."""

import threading
from dataclasses import replace
from weakref import ref

import pytest

from app.example_uploads import examples
from app.jobs import read_job
from app.render.summary import conditions_line
from app.request import Request
from app.settings import EXAMPLES, Settings
from app.worker import local
from app.worker.events import (
    ComparisonDone,
    LaneDone,
    LaneStarted,
    PhaseDone,
    TextDelta,
)
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models import memory
from models.catalog import find
from models.engine.pipeline import run_lane
from models.engine.record import LaneFailure, LaneResult
from pruning.methods import create
from tests.models import hub_cache
from tests.tiny import clip, picture, tiny_llava, tiny_onevision

checkpoint = pytest.mark.checkpoint


@pytest.fixture(scope="module")
def worker():
    return LocalWorker()


@pytest.fixture
def job():
    example = examples()[0]
    request = Request(
        upload=EXAMPLES / example["file"],
        question=example["questions"][0]["question"],
        model="embedded-image",
        methods=["visionzip", "nuwa", "pooling"],
        retention_ratio=1 / 3,
    )
    return read_job(request)


@checkpoint
def test_four_lanes_stream_their_phases_and_text_at_once_and_end_in_one_comparison(worker, job):
    events = list(worker.run(job))
    assert [event.lane for event in events if isinstance(event, LaneStarted)] == [0, 1, 2, 3]
    done = [event for event in events if isinstance(event, LaneDone)]
    first_done = events.index(done[0])
    speaking = {event.lane for event in events[:first_done] if isinstance(event, TextDelta)}
    assert speaking == {0, 1, 2, 3}, "every lane has text before the first one ends"
    for event in done:
        own, result = (
            [one for one in events[:-1] if getattr(one, "lane", None) == event.lane],
            event.result,
        )
        assert result.answer == "".join(e.text for e in own if isinstance(e, TextDelta))
        assert result.timeline.phases == tuple(e.phase for e in own if isinstance(e, PhaseDone))
    comparison = events[-1].comparison
    assert [lane.method for lane in comparison.lanes] == [m.name for m in job.methods]
    assert all(isinstance(lane, LaneResult) for lane in comparison.lanes)
    assert {"device", "dtype", "attention", "torch", "transformers"} <= set(comparison.conditions)


@checkpoint
@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_the_worker_lives_on_after_a_method_that_raises(worker, job, error):
    class Broken(type(job.methods[1])):
        def compress(self, visual, keep):
            raise error("a secret path")

    broken = replace(job, methods=(job.methods[0], Broken(retention_ratio=0.5)))
    failure = list(worker.run(broken))[-1].comparison.lanes[1]
    assert error.__name__ in failure.reason and "secret" not in failure.reason
    assert isinstance(list(worker.run(job))[-1], ComparisonDone)


@pytest.fixture
def tiny(monkeypatch):
    """A worker whose models are all the tiny one, and the names of the loaded models."""
    loaded = []

    def load(name, device, dtype):
        loaded.append(name)
        if name == "broken":
            raise RuntimeError("no such device")
        return tiny_llava()

    monkeypatch.setattr(local, "load", load)
    return LocalWorker(), loaded


def tiny_job(*methods, model="a", max_new_tokens=3):
    return Job(model, picture(), "What is this?", methods, max_new_tokens)


def lanes(worker, job):
    return list(worker.run(job))[-1].comparison.lanes


@pytest.fixture
def runs(monkeypatch):
    """The names of the methods that ran, with warm-ups."""
    ran = []

    def run(adapter, media, question, method, **options):
        ran.append(method.name)
        return run_lane(adapter, media, question, method, **options)

    monkeypatch.setattr(local, "run_lane", run)
    return ran


def test_a_method_is_warmed_up_before_its_first_lane_on_a_model(tiny, runs):
    worker, loaded = tiny
    jobs = [tiny_job(create("vanilla"), model=model) for model in ("a", "a", "b", "a")]
    assert not any(lanes(worker, job)[0].timeline.cold for job in jobs)
    assert loaded == ["a", "b", "a"]
    assert len(runs) == 2 + 1 + 2 + 2, "a reloaded model is cold again"


def test_only_a_complete_run_warms_a_method_up(tiny, runs):
    worker, _ = tiny
    out_of_reach = create("fastv", retention_ratio=0.02)
    assert isinstance(lanes(worker, tiny_job(create("vanilla"), out_of_reach))[1], LaneFailure)
    runs.clear()
    (ran,) = lanes(worker, tiny_job(create("fastv", retention_ratio=0.5)))
    assert runs == ["fastv", "fastv"] and not ran.timeline.cold


def test_a_lane_whose_warm_up_failed_is_marked_as_cold(tiny, monkeypatch):
    def fail_short_runs(adapter, media, question, method, **options):
        if options["max_new_tokens"] < 3:
            raise RuntimeError
        return run_lane(adapter, media, question, method, **options)

    monkeypatch.setattr(local, "run_lane", fail_short_runs)
    assert lanes(tiny[0], tiny_job(create("vanilla")))[0].timeline.cold


def test_a_job_that_is_cancelled_while_it_warms_up_takes_no_further_step(tiny, monkeypatch):
    cancelled, steps = threading.Event(), []

    def cancel(*inputs, **options):
        for step in run_lane(*inputs, **options):
            steps.append(step)
            cancelled.set()
            yield step

    worker, _ = tiny
    with monkeypatch.context() as patched:
        patched.setattr(local, "run_lane", cancel)
        list(worker.run(tiny_job(create("vanilla")), cancelled))
    lanes(worker, tiny_job(create("random")))  # behind it in the queue
    assert len(steps) == 1


def test_a_large_model_on_a_cpu_runs_every_lane_once(tiny, runs, monkeypatch):
    monkeypatch.setattr(local.memory, "SMALL", 0)
    worker, _ = tiny
    jobs = [tiny_job(create("vanilla"), create("random")), tiny_job(create("pooling"))]
    cold = [[lane.timeline.cold for lane in lanes(worker, job)] for job in jobs]
    assert runs == ["vanilla", "random", "pooling"]
    assert cold == [[True, True], [False]], "the first comparison reads the weights"


def test_the_warm_up_of_the_page_ends_when_a_visitor_waits(tiny):
    worker, _ = tiny
    list(worker._warm_up("a", picture(), [create("vanilla")], stops=lambda: True))
    assert not worker._warm


def test_a_model_of_clips_is_warmed_up_on_a_clip(monkeypatch):
    monkeypatch.setattr(local, "load", lambda name, device, dtype: tiny_onevision())
    worker = LocalWorker(Settings(model="embedded-video"))
    worker.preload()
    job = Job("embedded-video", clip(), "?", (create("vanilla"), create("flashvid")), 2)
    assert [lane.timeline.cold for lane in lanes(worker, job)] == [False, False]


def test_a_job_that_waits_ends_as_soon_as_it_is_cancelled(tiny):
    worker, _ = tiny
    running = worker.run(tiny_job(create("vanilla"), max_new_tokens=500))
    next(running)
    cancelled, ended = threading.Event(), threading.Event()

    def wait():
        assert not list(worker.run(tiny_job(create("random")), cancelled))
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    cancelled.set()
    assert ended.wait(60)
    running.close()


def test_a_closed_job_frees_the_device(tiny):
    worker, _ = tiny
    stream = worker.run(tiny_job(create("vanilla"), max_new_tokens=100_000))
    next(stream)
    stream.close()
    assert isinstance(lanes(worker, tiny_job(create("vanilla")))[0], LaneResult)


def test_a_model_that_cannot_be_loaded_fails_its_job_alone(tiny):
    worker, _ = tiny
    with pytest.raises(ValueError, match=r"broken could not be loaded \(RuntimeError\)"):
        list(worker.run(tiny_job(create("vanilla"), model="broken")))
    assert isinstance(lanes(worker, tiny_job(create("vanilla")))[0], LaneResult)


@pytest.fixture
def counted(monkeypatch):
    """A worker with a new object for each model; (name, models alive when it was loaded)."""
    models, loaded = [], []

    def load(name, device, dtype):
        loaded.append((name, sum(model() is not None for model in models)))
        adapter = replace(tiny_onevision() if name == "embedded-video" else tiny_llava())
        models.append(ref(adapter))
        circle = [adapter]
        circle.append(circle)  # a reference cycle, as in a large model
        return adapter

    monkeypatch.setattr(local, "load", load)
    return LocalWorker(), loaded


def test_a_model_is_freed_before_the_next_one_is_loaded(counted):
    worker, loaded = counted
    for model in ("a", "a", "b", "c"):
        lanes(worker, tiny_job(create("vanilla"), create("flashvid"), model=model))
    assert loaded == [("a", 0), ("b", 0), ("c", 0)]


def test_a_job_that_was_refused_keeps_no_model_alive(counted, monkeypatch):
    worker, loaded = counted
    job = Job("embedded-video", clip(), "?", (create("vanilla"),), 2)
    with (
        monkeypatch.context() as little,
        pytest.raises(ValueError, match=r"72 visual tokens need .* fewer frames") as refusal,
    ):
        little.setattr(memory, "free", lambda device: 2**20)
        list(worker.run(job))
    lanes(worker, tiny_job(create("vanilla")))
    assert loaded == [("embedded-video", 0), ("a", 0)] and refusal.value is not None


def test_another_model_waits_for_the_running_lanes(counted):
    worker, loaded = counted
    running = worker.run(tiny_job(create("vanilla"), model="a", max_new_tokens=50))
    next(running)
    done = []
    waiting = threading.Thread(
        target=lambda: done.append(lanes(worker, tiny_job(create("vanilla"), model="b"))),
        daemon=True,
    )
    waiting.start()
    *_, last = running
    assert isinstance(last, ComparisonDone) and last.comparison.lanes[0].new_tokens == 50
    waiting.join(60)
    assert isinstance(done[0][0], LaneResult) and loaded == [("a", 0), ("b", 0)]


def test_a_record_names_the_commit_of_the_weights_that_answered(tmp_path, monkeypatch):
    hub_cache.give_cache(tmp_path, monkeypatch)
    hub_cache.fetch(tmp_path, find("llava-1.5-7b"), tiny_llava())
    worker = LocalWorker(Settings(device="cpu"))
    job = tiny_job(create("vanilla"), model="llava-1.5-7b")
    comparison = list(worker.run(job))[-1].comparison
    assert comparison.conditions["weights"] == f"llava-hf/llava-1.5-7b-hf at {hub_cache.COMMIT}"
    assert hub_cache.COMMIT in conditions_line(comparison)
