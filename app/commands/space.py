"""A folder ready to be pushed as a Hugging Face Space: what runs, and nothing else.

The README's front matter says how a Space is started. For ZeroGPU torch is of a release that is
offered there; `main.py` sees by itself that it runs there.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from app.settings import ROOT

RUNS = ("app", "models", "pruning", "assets", "main.py", "requirements.txt", "README.md", "LICENSE")
SEEN = ("docs",)  # what the README shows or points to
LEFT = shutil.ignore_patterns("__pycache__", ".*_cache", "*.pyc")
LARGE = ("*.safetensors", "*.mp4", "*.png")  # a Space takes no binary file but through git's LFS
ZERO_TORCH = "torch==2.11.0"  # the newest that ZeroGPU offers


def build(folder: Path, zero: bool = False) -> Path:
    """Write the Space into `folder`, which must not hold anything yet."""
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name a new folder, or clear this one.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*RUNS, *SEEN):
        source, copy = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, copy, ignore=LEFT)
        else:
            shutil.copy2(source, copy)
    rules = (f"{name} filter=lfs diff=lfs merge=lfs -text\n" for name in LARGE)
    (folder / ".gitattributes").write_text("".join(rules))
    if zero:
        _replace(folder / "requirements.txt", r"^torch==.*$", ZERO_TORCH)
    return folder


def _replace(path: Path, line: str, by: str) -> None:
    text, count = re.subn(line, by, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1, f"{path.name} has {count} lines like {line}"
    path.write_text(text, encoding="utf-8")
