"""The Ray worker, first without a cluster, then on a real one of two replicas."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="ray is not installed: see requirements-ray.txt")

import ray
import torch
from ray import serve
from ray.exceptions import ActorDiedError, RayTaskError

from app.cases.run import plan, run_cases
from app.cases.sets import read_set
from app.cases.store import Run
from app.settings import Settings
from app.worker import ray_serve
from app.worker.events import ComparisonDone, LaneStarted, TextDelta
from app.worker.local import LocalWorker
from app.worker.parallel import ParallelWorker
from app.worker.ray_serve import RayWorker
from models.engine.record import LaneResult
from tests.app.factory import same
from tests.app.fake_worker import wait_until
from tests.app.ray_page import asked, broken
from tests.killed_run import same as same_results

pytestmark = [pytest.mark.checkpoint, pytest.mark.slow]
SETTINGS = Settings(device="cpu", replicas=2)


def job(**changes):
    return replace(asked(), **changes)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """One thread, as in a replica with one core: sums are equal to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def own_log():
    """Keep the log of the test process as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_serve, "log_as_json", lambda: None)
        yield


def without_times(comparison):
    """The record without what each run measures anew: times, memory and the machine's load."""
    lanes = tuple(replace(lane, timeline=None, peak_bytes=None) for lane in comparison.lanes)
    conditions = {key: text for key, text in comparison.conditions.items() if key != "load"}
    return replace(comparison, lanes=lanes, conditions=conditions)


@pytest.fixture(scope="module")
def in_process():
    """The deployment without a cluster."""
    return RayWorker(run_here(SETTINGS), ship=lambda media: media)


def run_here(settings):
    app = ray_serve.application(settings)
    return serve.run(app, name="here", route_prefix=None, _local_testing_mode=True)


@pytest.fixture(scope="module")
def local():
    *_, last = LocalWorker(SETTINGS).run(job())
    return last.comparison


def test_lanes_stream_while_they_run(in_process):
    events = list(in_process.run(job()))
    assert [event.lane for event in events if isinstance(event, LaneStarted)] == [0, 1, 2]
    assert sum(isinstance(event, TextDelta) for event in events) > 10


def test_a_value_error_keeps_its_message(in_process):
    with pytest.raises(ValueError, match="There is no model 'gpt'"):
        list(in_process.run(job(model="gpt")))


def test_a_cancelled_job_stops_and_the_next_one_runs(in_process):
    cancelled = threading.Event()
    for event in in_process.run(job(max_new_tokens=100_000), cancelled):
        if isinstance(event, TextDelta):
            cancelled.set()
    assert isinstance(list(in_process.run(job()))[-1], ComparisonDone)


def test_an_error_leaves_a_replica_by_its_type_alone(in_process):
    with pytest.raises(RuntimeError) as told:
        list(in_process.run(broken()))
    assert str(told.value) == "RuntimeError"


def test_only_a_dead_replica_is_reported_as_lost():
    fell = RayTaskError("run", "", RuntimeError("a secret"))
    assert ray_serve.readable_error(fell) is fell, "the page reports an internal error"
    assert str(ray_serve.readable_error(ActorDiedError())) == ray_serve.LOST


def test_logins_stay_with_the_page(monkeypatch):
    told = []

    class Replica:
        def __init__(self, settings):
            told.append(settings)

    monkeypatch.setattr(ray_serve, "Replica", Replica)
    run_here(replace(SETTINGS, users="ann:a password"))
    assert told == [SETTINGS]


def test_an_address_of_ray_client_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"RAY_ADDRESS is ray://head:10001, .* RAY_ADDRESS=auto"):
        ray_serve.connect("ray://head:10001")


def test_without_an_address_a_cluster_is_started_here_whatever_else_runs(monkeypatch):
    addresses = []
    monkeypatch.setattr(ray, "init", lambda address, **_: addresses.append(address))
    ray_serve.connect("")
    assert addresses == ["local"], "Ray would join any cluster of this machine"


def test_a_cluster_that_does_not_answer_is_not_fit(in_process, monkeypatch):
    def silent():
        raise ray.exceptions.RaySystemError("gone")

    monkeypatch.setattr(serve, "status", silent)
    assert in_process.health().reason == "The Ray cluster does not answer (RaySystemError)."


@pytest.fixture(scope="module")
def cluster():
    """Two replicas in separate processes."""
    yield ray_serve.start(SETTINGS)
    ray.shutdown()  # which ends the cluster, replicas and all


def replicas():
    """Process ids of the replicas of this cluster."""
    titles = {path.parent: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")}
    found = [folder for folder, title in titles.items() if b"ServeReplica:tokenscope" in title]
    return {int(folder.name) for folder in found if parent(parent(int(folder.name))) == os.getpid()}


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_two_replicas_of_a_cluster_give_the_record_of_the_local_worker(cluster, local):
    for worker in (cluster, ParallelWorker([cluster, cluster])):
        *_, last = worker.run(job())
        assert same(without_times(last.comparison), without_times(local))


def test_on_a_cluster_stop_frees_the_replica(cluster):
    for _ in range(4):
        stream = cluster.run(job(max_new_tokens=100_000))
        while not isinstance(next(stream), TextDelta):
            pass
        stream.close()
    assert isinstance(list(cluster.run(job()))[-1], ComparisonDone)


def test_cases_on_a_cluster_end_like_cases_of_the_local_worker(cluster, tmp_path):
    case_set = read_set("drawn:image:2:5", SETTINGS, tmp_path / "pictures")
    numbers = {"max_new_tokens": 8, "temperature": 0.0, "seed": 0}
    asked_so = plan("embedded-image", ["nuwa"], [0.222], SETTINGS, **numbers)
    on_ray, here = replace(SETTINGS, worker="ray"), replace(SETTINGS, worker="local")
    run_cases(case_set, asked_so, tmp_path / "ray", on_ray, cluster)
    run_cases(case_set, asked_so, tmp_path / "here", here)
    assert same_results(Run(tmp_path / "ray"), Run(tmp_path / "here"))
    assert Run(tmp_path / "ray").results.answer.count() == 4


@pytest.mark.fault
def test_a_killed_replica_is_reported_and_replaced(cluster):
    before = replicas()
    assert len(before) == 2 and cluster.health().fit
    stream = cluster.run(job())
    assert isinstance(next(stream), LaneStarted)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(ValueError, match="was lost; another is being started") as told:
        list(stream)
    print(told.value)
    wait_until(lambda: not cluster.health().fit)
    assert cluster.health().reason.startswith("No replica runs; Ray Serve calls ")
    deadline = time.monotonic() + 120
    while True:
        try:
            *_, last = cluster.run(job())
            break
        except ValueError as error:
            assert str(error) == ray_serve.LOST and time.monotonic() < deadline
            time.sleep(1)
    assert all(isinstance(lane, LaneResult) for lane in last.comparison.lanes)
    assert cluster.health().fit and not replicas() & before
