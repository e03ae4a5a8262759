"""`space`: writes a folder that can be pushed as a Hugging Face Space.

The front matter of the README names the file that starts the Space. With a model, it also names the
weights that the build fetches and the hardware for a copy. `main.py` detects ZeroGPU.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

from app.settings import ROOT, Settings
from models.catalog import INT4

RUNS = ("app", "models", "pruning", "assets", "main.py", "requirements.txt", "README.md", "LICENSE")
LINKED = ("docs",)  # from the README
IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache", "*.pyc")
# A Space accepts binary files only through git LFS.
LARGE = ("*.safetensors", "*.mp4", "*.png", "*.jpg", "*.parquet", "*.npz")
SERVED = 'os.environ.setdefault("TOKENSCOPE_MODEL", "%s")\nsettings = Settings.from_environment()'
HARDWARE = {"t4-small": 15, "l4x1": 22, "l40sx1": 45, "a100-large": 79}  # GiB of GPU memory
INT4_REQUIREMENTS, INCLUDED = "requirements-int4.txt", "-r requirements.txt\n"
ZERO_TORCH = "torch==2.11.0"  # the newest version on ZeroGPU


def add(commands: Any) -> None:
    parser = commands.add_parser("space", help="write a folder that can be pushed as a Space")
    parser.add_argument("--out", type=Path, default=Path("out/space"))
    parser.add_argument("--model", default=Settings.model, help="that the Space serves")
    parser.add_argument("--zero", action="store_true", help="for ZeroGPU")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    print(build(options.out, options.zero, options.model))


def build(folder: Path, zero: bool = False, model: str = Settings.model) -> Path:
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
    if model.endswith(INT4):
        *_, extra = (ROOT / INT4_REQUIREMENTS).read_text(encoding="utf-8").partition(INCLUDED)
        with (folder / "requirements.txt").open("a", encoding="utf-8") as file:
            file.write(extra)
    if lines := front_matter(model, zero):
        _replace(folder / "README.md", r"^app_file: .*$", "app_file: main.py\n" + lines)
        _replace(folder / "main.py", r"^settings = Settings.from_environment\(\)$", SERVED % model)
    return folder


def front_matter(name: str, zero: bool) -> str:
    """Lines that have the build fetch the weights, and that name the hardware for a copy."""
    from models import memory
    from models.loading import config_of
    from models.unlisted import adopt

    card = adopt(name)
    if not card.revision or card.random:
        return ""
    needed = memory.estimate(config_of(card), card.tokens, "bfloat16", int4=card.int4).total
    hardware = next(one for one, size in HARDWARE.items() if needed < size * memory.GIB)
    lines = [f"models: [{card.source}]", f'preload_from_hub: ["{card.source}"]']
    if not zero:
        lines.append(f"suggested_hardware: {hardware}")
    return "\n".join([*lines, "startup_duration_timeout: 1h"])


def _replace(path: Path, line: str, by: str) -> None:
    text, count = re.subn(line, by, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1, f"{path.name} has {count} lines like {line}"
    path.write_text(text, encoding="utf-8")
