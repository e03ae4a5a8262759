"""A page that joins a Ray cluster by its address, and the logs of both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="ray is not installed: see requirements-ray.txt")

from app.settings import ROOT, Settings
from app.worker.local import LocalWorker
from tests.app.fake_worker import wait_until
from tests.app.ray_page import SECRET, asked

pytestmark = [pytest.mark.checkpoint, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder():
    """The folder of the cluster; it holds sockets, so its path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def environment():
    return os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "of this test",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="module")
def head(folder, environment):
    """The address of a cluster of one node, started by its own command."""
    ray = Path(sys.executable).with_name("ray")
    options = "--head --num-cpus=1 --port=0 --include-dashboard=false --block --temp-dir"
    address = folder / "ray_current_cluster"
    with subprocess.Popen(
        [ray, "start", *options.split(), folder],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: address.exists() and address.read_text(), seconds=120)
        yield address.read_text()
        process.terminate()


@pytest.fixture(scope="module")
def page(head, environment):
    """The results and the log of a page of that cluster."""
    return subprocess.run(
        [sys.executable, "-m", "tests.app.ray_page"],
        cwd=ROOT,
        env=environment | {"RAY_ADDRESS": head},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


@pytest.fixture(scope="module")
def saw(page):
    return json.loads(page.stdout)


@pytest.fixture(scope="module")
def replica_log(page, folder):
    """The log of the replica, without two lines of Ray."""
    logs = [path.read_text() for path in folder.glob("session_latest/logs/worker-*.err")]
    (log,) = [log for log in logs if ":actor_name:ServeReplica" in log]
    return [json.loads(line) for line in log.splitlines() if not line.startswith(":")]


def test_a_page_on_a_node_of_a_cluster_joins_it_by_its_address(saw, head):
    *_, last = LocalWorker(Settings(device="cpu")).run(asked())
    assert saw["joined"] == head
    assert saw["answers"] == [lane.answer for lane in last.comparison.lanes]


def test_an_error_in_a_replica_is_in_its_log_under_the_number_of_the_job(saw, replica_log):
    (line,) = [line for line in replica_log if line.get("job") == saw["failed"]]
    assert line["message"] == "job failed" and line["error"] == "RuntimeError" and line["places"]


def test_no_log_of_ray_quotes_a_visitor(page, saw, folder):
    logs = [path for path in folder.rglob("logs/**/*") if path.is_file()]
    assert logs and not [path for path in logs if SECRET.encode() in path.read_bytes()]
    assert SECRET not in page.stderr and saw["told"] == "RuntimeError"


def test_the_log_of_a_page_on_ray_is_json_and_takes_a_stop_for_no_loss(page):
    said = [json.loads(line)["message"] for line in page.stderr.splitlines()]
    assert "replica lost" not in said
