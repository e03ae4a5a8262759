"""`space`: writes a folder that can be pushed as a Hugging Face Space.

The front matter of the README names the file that starts the Space. `main.py` detects ZeroGPU
itself; only torch's version differs there.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

from app.settings import ROOT, Settings

RUNS = ("app", "models", "pruning", "assets", "main.py", "requirements.txt", "README.md", "LICENSE")
LINKED = ("docs",)  # from the README
IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache", "*.pyc")
# A Space accepts binary files only through git LFS.
LARGE = ("*.safetensors", "*.mp4", "*.png", "*.jpg")
ZERO_TORCH = "torch==2.11.0"  # the newest version on ZeroGPU


def add(commands: Any) -> None:
    parser = commands.add_parser("space", help="write a folder that can be pushed as a Space")
    parser.add_argument("--out", type=Path, default=Path("out/space"))
    parser.add_argument("--zero", action="store_true", help="for ZeroGPU")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    print(build(options.out, options.zero))


def build(folder: Path, zero: bool = False) -> Path:
    """Write the Space into `folder`, which must be empty or new."""
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name a new folder, or clear this one.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*RUNS, *LINKED):
        source, copy = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, copy, ignore=IGNORED)
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
