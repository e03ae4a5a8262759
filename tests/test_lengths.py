"""Short files and short functions: a method is read in one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PRUNING = Path(__file__).resolve().parent.parent / "pruning"
FILE, FUNCTION = 150, 40  # lines

each_file = pytest.mark.parametrize(
    "path", sorted(PRUNING.rglob("*.py")), ids=lambda path: str(path.relative_to(PRUNING))
)
each_method = pytest.mark.parametrize(
    "path", sorted((PRUNING / "methods").glob("*.py")), ids=lambda path: path.stem
)


@each_method
def test_the_file_of_a_method_has_at_most_150_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE


@each_file
def test_a_function_has_at_most_40_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < FUNCTION, node.name
