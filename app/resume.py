"""Asks many questions in a run that can be stopped: a progress bar, and what is asked already."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tqdm import tqdm


class Named(Protocol):
    @property
    def name(self) -> str: ...  # unique in a run; stored answers are found by it


class Stored(Protocol):
    """Answers by the names of their cases."""

    def __contains__(self, name: Any) -> bool: ...

    def __setitem__(self, name: str, answers: Any) -> None: ...


One = TypeVar("One", bound=Named)


def ask_missing(
    cases: Sequence[One],
    ask: Callable[[Sequence[One]], Iterable[Any]],
    stored: Stored,
    title: str = "questions",
) -> None:
    """Ask the cases that `stored` lacks and store each answer as it comes; a bar shows the rate.

    Args:
        ask: Gives the answers to cases in their order.
    """
    left = [case for case in cases if case.name not in stored]
    bar = tqdm(
        ask(left),
        title,
        len(cases),
        initial=len(cases) - len(left),
        disable=not sys.stderr.isatty(),
    )
    for case, answers in zip(left, bar, strict=True):
        stored[case.name] = answers


class Lines:
    """A file of one JSON value a line, to which lines are added; a line cut short is dropped."""

    def __init__(self, path: Path) -> None:
        """Reads the whole lines of the file into `values`, and repairs the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        self.values = [json.loads(line) for line in lines]
        self._path = path
        self._write(lines)

    def add(self, value: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")

    def clear(self) -> None:
        self.values = []
        self._write([])

    def _write(self, lines: Sequence[str]) -> None:
        repaired = self._path.with_suffix(".new")
        repaired.write_text("".join(lines), encoding="utf-8")
        repaired.replace(self._path)


class Store(dict[str, Any]):
    """Values by name, each written as a line of a file as it comes."""

    def __init__(
        self,
        path: Path,
        parse: Callable[[Any], tuple[str, Any]],
        write: Callable[[str, Any], Any],
    ) -> None:
        """`parse` makes a name and its value of a line, and `write` a line of them."""
        self._lines, self._write = Lines(path), write
        super().__init__(map(parse, self._lines.values))

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._lines.add(self._write(name, value))
