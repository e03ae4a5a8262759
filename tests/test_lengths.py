"""Short files and short functions: a method is read in one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pruning", "models", "app", "tests")


@pytest.mark.parametrize(
    ("folder", "most"),
    [("pruning/methods", 150), *((package, 300) for package in PACKAGES)],
)
def test_no_file_is_longer_than_its_folder_allows(folder: str, most: int) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert [f"{path}: {lines}" for path, lines in lengths.items() if lines > most] == []


@pytest.mark.parametrize(("package", "most"), [("pruning", 40), *((p, 45) for p in PACKAGES[1:])])
def test_no_function_is_longer_than_its_package_allows(package: str, most: int) -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= most
    ]
    assert long == []
