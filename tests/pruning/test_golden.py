"""The stored outputs of official code are all compared with."""

from __future__ import annotations

import re
from pathlib import Path

from tests.pruning.golden import FOLDER

TESTS = Path(__file__).parent.parent


def test_every_golden_file_has_a_test_that_reads_it() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    read = set(re.findall(r'(?:over\(|cases\(|/ )"(\w+)(?:\.npz)?"', sources))
    assert read >= {path.stem for path in FOLDER.glob("*.npz")}


def test_every_golden_file_names_its_source() -> None:
    documented = set(re.findall(r"`(\w+)`", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert {path.stem for path in FOLDER.glob("*.npz")} <= documented
