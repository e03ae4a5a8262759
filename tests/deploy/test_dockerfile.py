"""The Dockerfile, tested without a container engine.

Run here: its CMD, in a copy of the copied files and with its ENV, and its HEALTHCHECK. Not run
here: the base image, `useradd`, the `pip install` (the tests use the same requirements.txt), and
the volumes of `docker run`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from app.settings import ROOT
from tests.deploy.ports import free_port

pytestmark = pytest.mark.slow

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [line.partition(" ")[::2] for line in LINES if line and not line.startswith("#")]
IGNORED = (ROOT / ".dockerignore").read_text().split()
PORT = "7860"


def arguments_of(instruction: str) -> list[str]:
    return [rest for name, rest in STEPS if name == instruction]


def environment(folder: Path) -> dict[str, str]:
    """The variables of ENV, with /tmp and the home folder moved into `folder`."""
    (line,) = arguments_of("ENV")
    pairs = dict(part.split("=", 1) for part in shlex.split(line))
    del pairs["PATH"]
    moved = {"/tmp/": f"{folder}/tmp/", "/home/user/": f"{folder}/home/"}
    for before, after in moved.items():
        pairs = {name: value.replace(before, after) for name, value in pairs.items()}
    return {**os.environ, **pairs}


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """The folder that `COPY . .` makes."""
    folder = tmp_path_factory.mktemp("image") / "tokenscope"

    def ignored(where: str, names: list[str]) -> set[str]:
        at = Path(where).relative_to(ROOT)
        return {n for n in names if any(fnmatch((at / n).as_posix(), p) for p in patterns)}

    patterns = [pattern.replace("**/", "*") for pattern in IGNORED]
    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


def test_every_instruction_is_one_that_is_checked_here() -> None:
    names = {name for name, _ in STEPS}
    assert names <= {*("FROM", "ARG", "RUN", "USER", "WORKDIR", "ENV", "COPY", "EXPOSE")} | {
        *("HEALTHCHECK", "CMD")
    }


def test_it_does_not_run_as_root() -> None:
    users = arguments_of("USER")
    assert users == ["user"] and f"--uid 1000 {users[0]}" in arguments_of("RUN")[0]
    runs = [index for index, (name, _) in enumerate(STEPS) if name in ("COPY", "CMD")]
    assert STEPS.index(("USER", "user")) < min(runs)


def test_what_is_copied_is_there_and_what_is_private_is_not(image: Path) -> None:
    for line in arguments_of("COPY"):
        source = shlex.split(line)[1]
        assert (ROOT / source).exists()
    assert {"app", "pruning", "models", "assets", "main.py"} <= {p.name for p in image.iterdir()}
    assert not {".git", ".venv", "tests", "out"} & {path.name for path in image.iterdir()}


def test_what_it_installs_is_what_these_tests_run_on() -> None:
    assert arguments_of("RUN")[1].endswith("-r requirements.txt")
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate():
            assert version(requirement.name) in requirement.specifier


def test_the_port_is_one_and_the_same() -> None:
    assert arguments_of("EXPOSE") == [PORT]
    assert (
        f":{PORT}/" in arguments_of("HEALTHCHECK")[0]
        and json.loads(arguments_of("CMD")[0])[-1] == PORT
    )


def test_it_starts_is_healthy_and_writes_nothing_beside_its_temporary_folder(
    image: Path, tmp_path: Path
) -> None:
    port, before = str(free_port()), listing(image)
    command = [part.replace(PORT, port) for part in json.loads(arguments_of("CMD")[0])]
    health = arguments_of("HEALTHCHECK")[0].partition("CMD ")[2].replace(PORT, port)
    options = {"cwd": image, "env": environment(tmp_path), "stderr": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, *command[1:]], stdout=subprocess.PIPE, **options)
    try:
        for _ in range(180):
            assert server.poll() is None, server.stderr.read().decode()
            check = [sys.executable, *shlex.split(health)[1:]]
            if not subprocess.run(check, **options).returncode:
                break
            time.sleep(1)
        else:
            raise AssertionError("never healthy")
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert listing(image) == before


def listing(folder: Path) -> dict[str, int]:
    """Files and their times, without the stubs that Gradio writes where a folder is writable."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyi"]
    return {str(path): path.stat().st_mtime_ns for path in files}
