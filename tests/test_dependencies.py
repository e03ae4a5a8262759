"""The dependency law: pruning ← models ← app, and what each may import from outside."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = {"app.page", "app.guard", "app.commands", "gradio"}
FORBIDDEN = {
    "pruning": {
        "models",
        "app",
        "transformers",
        "PIL",
        "gradio",
        "supervision",
        "altair",
        "decord",
    },
    "models": {"app", "gradio", "supervision", "altair"},
    "models/uploads": {"models.engine", "models.families", "models.embedded", "torch"},
    "models/engine": {"models.families", "models.embedded"},
    "models/families": {"models.embedded"},
    "app/worker": {*PAGE, "app.render", "app.recording", "app.measure", "app.docs"},
    "app/reading": {*PAGE, "app.worker", "app.render", "app.recording", "app.measure", "app.docs"},
    "app/render": {*PAGE, "app.worker", "torch", "transformers", "models.engine.pipeline"},
    "app/recording": {*PAGE, "app.worker", "app.measure", "app.docs", "torch", "transformers"},
    "app/page": {"app.commands", "app.measure", "app.docs", "torch", "transformers"},
    "app/guard": {"app.page", "app.commands", "app.measure", "app.docs", "app.render", "torch"},
    "app/measure": PAGE,
    "app/measure/evaluation": {"app.render", "app.worker", "transformers"},
    "app/docs": PAGE,
}


OUTSIDE = {"pruning": {"torch", "numpy"}}  # and nothing else that is not Python's own


def imported(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_lies_below_it(package):
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            broken = [
                bad for bad in FORBIDDEN[package] if name == bad or name.startswith(bad + ".")
            ]
            assert not broken, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", OUTSIDE)
def test_a_package_needs_no_more_from_outside_than_it_may(package):
    files = list((ROOT / package).rglob("*.py"))
    roots = {name.split(".")[0] for path in files for name in imported(path)}
    assert files and roots - {package} - sys.stdlib_module_names <= OUTSIDE[package]


def test_no_file_imports_itself_by_way_of_others():
    """Imports inside functions count: they hide a circle, they do not open it."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for package in ("pruning", "models", "app")
        for path in (ROOT / package).rglob("*.py")
    }
    below = {name: imported(path) & files.keys() for name, path in files.items()}
    TopologicalSorter(below).prepare()  # raises CycleError with the files of a circle


def test_lmms_eval_is_known_to_the_plug_in_alone():
    """The core of the plug-in answers without it."""
    files = [
        path for package in ("pruning", "models", "app") for path in (ROOT / package).rglob("*.py")
    ]
    knowing = {
        str(path.relative_to(ROOT))
        for path in files
        if any(name.split(".")[0] == "lmms_eval" for name in imported(path))
    }
    assert knowing == {"app/measure/evaluation/__main__.py", "app/measure/evaluation/lmms.py"}


def test_only_the_list_of_methods_has_code_in_an_init_file():
    for package in ("pruning", "models", "app"):
        for path in (ROOT / package).rglob("__init__.py"):
            if path.parent.name != "methods":
                assert not path.read_text().strip(), path
