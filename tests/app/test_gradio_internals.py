"""Internals of the installed Gradio are as the guard needs them, and used in one module only."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.queueing import Queue

from app.guard import gradio_internals as internals
from app.guard.uploads import ClipInput, PictureInput
from app.page.build import build
from app.settings import ROOT, Settings
from tests.app.fake_worker import FakeWorker

MODULE = ROOT / "app" / "guard" / "gradio_internals.py"
PUBLIC = {
    "gradio",
    "gradio.components.plot",
    "gradio.data_classes",
}  # the latter is for components of one's own
PRIVATE = {
    "_queue",
    "blocks_config",
    "config_values",
    "default_config",
    "event_ids_to_events",
    "fns",
    "keep_in_cache",
    "pending_diff_streams",
    "pending_event_ids_session",
    "pending_messages_per_session",
    "session_data",
    "state_data",
    "state_holder",
    "time_last_used",
}


@pytest.fixture(scope="module")
def page():
    return build(FakeWorker(), Settings())


def test_no_other_module_uses_internals_of_gradio():
    for path in {*(ROOT / "app").rglob("*.py")} - {MODULE}:
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Attribute):
                assert node.attr not in PRIVATE, f"{place}: {node.attr}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gradio":
                assert node.module in PUBLIC, f"{place}: {node.module}"


def test_every_update_of_a_stream_is_sent_whole(page):
    function, updates = (
        SimpleNamespace(outputs=[None]),
        ((["a"], False), (["a", "b"], False), (None, True)),
    )
    first, later, last = (
        page.handle_streaming_diffs(function, [value], "a tab", "a run", final)
        for value, final in updates
    )
    assert first == [["a"]] and last == [["a", "b"]]
    assert later == [[["replace", [], ["a", "b"]]]]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (gr.Blocks.process_api, ["block_fn", "inputs", "state", "session_hash"]),
        (gr.Image.async_move_resource_to_block_cache, ["url_or_file_path"]),
        (gr.Video.async_move_resource_to_block_cache, ["url_or_file_path"]),
    ],
)
def test_methods_that_the_guard_overrides_take_the_same_arguments(method, parameters):
    assert set(parameters) <= set(inspect.signature(method).parameters)


def test_data_that_cannot_be_decoded_is_a_value_error():
    for damaged in ("data:image/png;base64,x", "data:image/png"):
        with pytest.raises(ValueError):
            internals.save_data_url(damaged)


def test_an_upload_input_keeps_the_front_end_of_its_base_class():
    assert PictureInput(render=False).get_block_name() == "image"
    assert ClipInput(render=False).get_block_name() == "video"


def test_functions_are_listed_by_number(page):
    number = next(iter(page.fns))
    assert internals.function_of(page, number) is page.fns[number]
    assert internals.is_unknown_function(page, KeyError(10_000), "x")
    assert not internals.is_unknown_function(page, KeyError(number), "x")


def test_only_a_closed_tab_and_a_program_end_a_session(page):
    ending = [one for one in page.fns.values() if internals.ends_session(one)]
    assert sorted(one.name for one in ending) == ["case", "cases", "compare", "on_unload", "sweep"]


def test_jobs_and_unread_messages_are_listed_by_session(page):
    queue = page._queue
    assert isinstance(queue, Queue)
    queue.event_ids_to_events["1"] = SimpleNamespace(session_hash="busy")
    queue.pending_event_ids_session["done"] = {"2"}
    for session in ("busy", "done"):
        queue.pending_messages_per_session[session] = asyncio.Queue()
        queue.pending_messages_per_session[session].put_nowait("a message")
    assert [internals.session_of_job(page, event) for event in "123"] == ["busy", "done", "3"]
    assert internals.busy_sessions(page) == {"busy"}
    assert internals.unread_messages(page) == {"done": 1}
    internals.delete_messages(page, "done")
    assert internals.unread_messages(page) == {} and not queue.pending_event_ids_session


def test_the_links_on_top_have_the_class_that_the_header_styles():
    styled = (ROOT / "app" / "page" / "header.css").read_text()
    assert set(re.findall(r"^\s*(\.[\w-]+)", styled, re.M)) == {".nav-holder"}
    scripts = (Path(gr.__file__).parent / "templates" / "frontend" / "assets").glob("core-*.js")
    pages = [script.read_text(encoding="utf-8") for script in scripts]
    assert any(re.search(r'class="nav-holder\b[^>]*><nav>', page) for page in pages)
