"""The dependency law: pruning ← models ← app, and what each may import from outside."""

import ast
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = {"app.page", "app.guard", "app.commands", "gradio"}
MEASURING = {"app.measure", "app.docs"}
DRAWING = {"app.render", "app.recording"}
FORBIDDEN = {
    "pruning": {"models", "app"},
    "models": {"app", "gradio", "supervision", "altair"},
    "models/uploads": {"models.engine", "models.families", "models.embedded", "torch"},
    "models/engine": {"models.families", "models.embedded"},
    "models/families": {"models.embedded", "models.loading"},
    "models/checkpoints": {"models.engine", "models.families", "models.embedded", "models.loading"},
    "models/analysis": {"models.families", "models.embedded", "models.loading"},
    "models/embedded": {"models.checkpoints"},
    "models/embedded/world": {"models.embedded.training", "models.engine", "models.families"},
    "app/settings.py": {"app", "models", "pruning", "torch", "gradio"},
    "app/request.py": {"app.jobs", "app.worker", *PAGE, *DRAWING, *MEASURING, "torch", "numpy"},
    "app/jobs.py": {*PAGE, *DRAWING, *MEASURING, "transformers"},
    "app/notebook.py": {*PAGE, *MEASURING},
    "app/worker": {*PAGE, *DRAWING, *MEASURING, "app.jobs", "app.cases"},
    "app/reading": {*PAGE, *DRAWING, *MEASURING, "app.worker", "app.jobs", "torch"},
    "app/render": {*PAGE, *MEASURING, "app.worker", "app.cases", "torch", "transformers"},
    "app/recording": {*PAGE, *MEASURING, "app.worker", "app.cases", "torch", "transformers"},
    "app/cases": {*PAGE, *MEASURING, "torch", "transformers"},
    "app/page": {*MEASURING, "app.commands", "torch", "transformers"},
    "app/guard": {"app", "models.engine", "models.families", "models.loading", "torch"},
    "app/commands": {"gradio", "torch", "transformers"},
    "app/measure": PAGE,
    "app/measure/evaluation": {"app.render", "app.worker", "transformers"},
    "app/docs": PAGE,
}


EXCEPT = {"app/guard": {"app.guard", "app.settings"}}  # of what is forbidden
OUTSIDE = {"pruning": {"torch", "numpy"}}  # packages besides Python's own


def imported(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file."""
    return names_of(ast.walk(ast.parse(path.read_text())), path)


def names_of(nodes: Iterable[ast.AST], path: Path) -> set[str]:
    """The modules that the import statements among `nodes` name."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def within(name: str, modules: set[str]) -> bool:
    """Whether a name is one of these modules or lies in one."""
    return any(name == module or name.startswith(module + ".") for module in modules)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_lies_below_it(room):
    files = [ROOT / room] if room.endswith(".py") else list((ROOT / room).rglob("*.py"))
    assert files, "the room is gone"
    for path in files:
        for name in imported(path):
            allowed = not within(name, FORBIDDEN[room]) or within(name, EXCEPT.get(room, set()))
            assert allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", ["models", "app"])
def test_every_room_has_a_rule(package):
    rooms = {path.parent for path in (ROOT / package).glob("*/__init__.py")}
    assert {str(room.relative_to(ROOT)) for room in rooms} <= FORBIDDEN.keys()


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


def imported_at_once(path: Path) -> set[str]:
    """What is imported when the file is: not inside functions, and not for types only."""
    return names_of(ast.parse(path.read_text()).body, path)


def test_the_page_starts_without_transformers():
    """It takes two seconds of a processor; the worker loads it with the first model."""
    seen, left = set(), {"app.page.build"}
    while left:
        name = left.pop()
        path = ROOT / f"{name.replace('.', '/')}.py"
        seen.add(name)
        if path.exists():
            names = imported_at_once(path)
            assert "transformers" not in {one.split(".")[0] for one in names}, name
            left |= names - seen


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
