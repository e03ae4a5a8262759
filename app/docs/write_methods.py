"""Write what the classes say of themselves: docs/methods.md and the table of the README."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from app.docs import methods_page as page
from app.render.tested import results
from app.settings import ROOT

PAGE = ROOT / "docs" / "methods.md"
README = ROOT / "README.md"
RESULTS = ROOT / "assets" / "results"
ANSWERED = RESULTS / "bench-scenes.json"
BEGIN, END = "<!-- methods: by make methods -->\n", "<!-- end of methods -->\n"


def draw() -> Iterator[Path]:
    """Both files, as the classes give them now."""
    for path, text in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        yield path


def written() -> dict[Path, str]:
    """Both files as they should be."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        raise ValueError(f"README.md has no {BEGIN.strip()} before {END.strip()}.")
    answered = json.loads(ANSWERED.read_text(encoding="utf-8"))
    return {
        PAGE: page.markdown(results(), answered),
        README: f"{before}{BEGIN}{page.short_table()}\n{END}{after}",
    }
