"""The folder that `make space` writes is complete, consistent and without private files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from app.commands import space

pytestmark = pytest.mark.slow

FRONT = re.compile(r"^---\n(.*?)\n---\n", re.DOTALL)


def front_matter(folder: Path) -> dict[str, str]:
    lines = FRONT.match((folder / "README.md").read_text())[1].splitlines()
    return {name: value.strip(' "') for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return space.build(tmp_path_factory.mktemp("spaces") / "space", zero=True)


def test_the_sdk_is_the_gradio_that_is_pinned(folder: Path) -> None:
    pinned = re.search(r"^gradio==(.+)$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    assert front_matter(folder)["sdk_version"] == pinned[1]


def test_it_starts_from_a_file_that_is_there(folder: Path) -> None:
    assert (folder / front_matter(folder)["app_file"]).is_file()


def test_zero_gpu_gets_a_torch_that_is_offered_there(folder: Path) -> None:
    requirements = (folder / "requirements.txt").read_text()
    (torch,) = re.findall(r"^torch==(\d+)\.(\d+)", requirements, re.MULTILINE)
    assert tuple(map(int, torch)) <= (2, 11)
    assert "spaces" not in requirements, "the platform brings its own"


def test_what_runs_is_there_and_nothing_that_is_private(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"app", "models", "pruning", "assets"} <= names
    assert not {"tests", ".git", "out", ".venv"} & names
    assert not [path for path in folder.rglob("*") if path.name == "__pycache__"]


def test_what_the_readme_shows_is_there(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    for path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if path not in ("CONTRIBUTING.md",):
            assert (folder / path).exists(), path


def test_every_binary_file_goes_through_gits_large_file_storage(folder: Path) -> None:
    rules = [line.split()[0] for line in (folder / ".gitattributes").read_text().splitlines()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    binary = [path for path in files if b"\0" in path.read_bytes()]
    assert binary and all(any(path.match(rule) for rule in rules) for path in binary)


def test_the_page_is_built_from_the_folder_alone(folder: Path) -> None:
    script = "import main; print(type(main.demo).__name__, main.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["Blocks", str(folder / "main.py")]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert main(["space", "--out", str(tmp_path)]) == 2
    assert "is not empty; name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_model_is_preloaded_by_the_build_and_served(tmp_path: Path) -> None:
    lines = front_matter(space.build(tmp_path / "space", model="llava-1.5-7b"))
    assert lines["preload_from_hub"] == '["llava-hf/llava-1.5-7b-hf"]'
    assert lines["suggested_hardware"] == "l4x1" and lines["app_file"] == "main.py"
    served = (tmp_path / "space" / "main.py").read_text()
    assert 'setdefault("TOKENSCOPE_MODEL", "llava-1.5-7b")\nsettings = Settings' in served


def test_a_model_in_4_bits_brings_its_requirements_and_asks_for_less(tmp_path: Path) -> None:
    lines = front_matter(space.build(tmp_path / "space", model="llava-1.5-7b:int4"))
    assert lines["preload_from_hub"] == '["llava-hf/llava-1.5-7b-hf"]'
    assert lines["suggested_hardware"] == "t4-small"
    required = (tmp_path / "space" / "requirements.txt").read_text()
    assert "\nbitsandbytes==" in required and "-r requirements" not in required
    assert (
        'setdefault("TOKENSCOPE_MODEL", "llava-1.5-7b:int4")'
        in (tmp_path / "space" / "main.py").read_text()
    )
