"""The Cases page: addresses, filters, keys, and remarks that survive a restart."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from time import sleep
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from app.cases.filters import Filter, parse_filter
from app.cases.imports import import_file
from app.cases.library import Library, Owner
from app.cases.people import People
from app.cases.sets import read_set
from app.guard.visitors import Visitors
from app.measure.tab import Tab
from app.page import board as boards
from app.page import cases_files, cases_remarks
from app.page.admission import Admission
from app.page.cases import CaseHandlers, Parts
from app.page.cases_html import case_head
from app.page.cases_remarks import Asked, asked_again, check_room, numbering, remark
from app.settings import Settings
from pruning.errors import ExplainedError
from tests.app.asking import TAB
from tests.app.browser import launched, served, tab
from tests.app.cases import HERE, NUWA, ZIPPED, make_run, table_of
from tests.app.fake_worker import FakeWorker, wait_until


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "pope", "drawn:image:40:35")
    return folder


def settings_of(folder):
    return replace(Settings(), cases=str(folder))


def test_the_shipped_run_is_offered_and_remarks_on_it_stay_with_one_visitor(tmp_path):
    library, one, other = Library(Settings()), Owner(tmp_path / "one"), Owner(tmp_path / "other")
    assert library.names(one) == ["examples"]
    case = next(iter(library.run("examples", one).cases))
    library.people("examples", one).note(case, "mine")
    assert library.table("examples", one).cases.note[case] == "mine"
    assert library.table("examples", other).cases.note[case] == ""
    comparison = library.run("examples", one).comparison(case)
    assert [lane.method for lane in comparison.lanes] == ["vanilla", "visionzip", "nuwa", "pooling"]


def test_an_address_names_run_filter_and_case_or_what_there_is(folder):
    library = Library(settings_of(folder))
    asked = Asked.parse("run=pope&right=vanilla&page=1", library, HERE)
    assert (asked.run, asked.filter, asked.page) == ("pope", Filter(right=("vanilla",)), 1)
    for query, wanted in (
        ("run=../etc", "there is examples, pope"),
        ("run=pope&case=x", "no case"),
    ):
        with pytest.raises(ValueError, match=wanted):
            Asked.parse(query, library, HERE)


def test_a_live_run_asks_the_methods_of_the_chosen_ratio():
    lanes = [{"name": name} for name in ("vanilla", "nuwa@0.1", "nuwa@0.2", "a.before+b.inner@0.2")]
    assert asked_again(lanes, "nuwa@0.2", 4, {}) == (["nuwa", "a.before+b.inner"], 0.2)
    assert asked_again(lanes, "", 4, {}) == (["nuwa"], 0.1)
    vanilla = {"name": "vanilla", "knobs": {"numbering": "published"}}
    assert numbering([vanilla, {"name": "nuwa@0.3", "knobs": {"numbering": "perc"}}]) == "perc"
    assert numbering(lanes) == "published"
    preset = {"name": "nuwa@0.1 Nüwa, paper", "title": "Nüwa, paper"}  # kept beside its method
    titles = {"Nüwa, paper": "nuwa:paper"}
    assert asked_again([*lanes, preset], "", 4, titles) == (["nuwa", "nuwa:paper"], 0.1)


def test_a_remark_sent_twice_is_saved_once_and_a_pressed_verdict_is_taken_back(folder, tmp_path):
    people = People(tmp_path)
    for _ in range(2):
        remark(people, "a", "verdict", "unclear")
        assert people.of("a").verdict == "unclear"
    with pytest.raises(ValueError, match="wanted verdict"):
        remark(people, "a", "drop", "table")
    table, no_filter = table_of(run_in(folder)), Filter()
    case = next(iter(table.run.cases))
    table.cases.loc[case, "verdict"] = "unclear"
    head = case_head(table, no_filter, case, [case])
    assert 'data-key="4" data-value="" aria-pressed="true"' in head
    assert 'data-key="3" data-value="label wrong" aria-pressed="false"' in head


def test_a_run_of_a_case_that_was_left_is_stopped_and_not_drawn(folder):
    library, worker = Library(settings_of(folder)), FakeWorker(pause=0.05)
    first, second, *_ = library.run("pope", HERE).cases
    with gr.Blocks():
        shown = boards.declare(library.settings)
        parts = Parts(gr.HTML(), gr.HTML(), gr.Button(), shown, gr.HTML(), gr.Textbox())
    handlers = CaseHandlers(library, parts, Admission(worker, library.settings, Visitors()))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(handlers.run_again, f"run=pope&case={first}", "", TAB)
        wait_until(lambda: worker.jobs)
        handlers.arrive(f"run=pope&case={second}", "", TAB)
        ended = running.result(timeout=10)
    assert "was stopped" in ended[parts.message] and shown.comparison not in ended


def test_a_case_of_an_imported_run_is_run_here_by_the_default_model(tmp_path):
    Image.new("RGB", (48, 48), "white").save(tmp_path / "a.png")
    row = {"index": 0, "question": "Is it white?", "answer": "yes"}
    (tmp_path / "cases.jsonl").write_text(json.dumps(row | {"file": "a.png"}))
    (tmp_path / "log.jsonl").write_text(json.dumps(row | {"prediction": "no"}))
    runs = tmp_path / "runs"
    case_set = read_set(str(tmp_path), Settings(), runs / "vlm" / "pictures")
    import_file(tmp_path / "log.jsonl", runs / "vlm", Settings(), case_set=case_set)
    library, worker = Library(settings_of(runs)), FakeWorker()
    with gr.Blocks():
        shown = boards.declare(library.settings)
        parts = Parts(gr.HTML(), gr.HTML(), gr.Button(), shown, gr.HTML(), gr.Textbox())
    handlers = CaseHandlers(library, parts, Admission(worker, library.settings, Visitors()))
    (case,) = library.run("vlm", HERE).cases
    opened = handlers.arrive(f"run=vlm&case={case}", "", TAB)
    assert "without tokens" in opened[parts.message] and opened[parts.again].visible
    told = handlers.run_again(f"run=vlm&case={case}", "", TAB)[parts.message]
    assert "Ran here" in told and worker.jobs[0].model == "embedded-image"
    Image.new("RGB", (48, 48), "black").save(tmp_path / "a.png")
    replaced = handlers.arrive(f"run=vlm&case={case}", "", TAB)
    assert "another picture" in replaced[parts.message] and not replaced[parts.again].visible


def test_passing_remarks_are_refused_while_the_folder_of_uploads_is_full(folder, monkeypatch):
    monkeypatch.setattr(cases_remarks, "folder_bytes", lambda _: 2_000_000_001)
    check_room(Library(settings_of(folder)), HERE)  # those of that folder last
    with pytest.raises(ValueError, match="is full"):
        check_room(Library(Settings()), HERE)
    with pytest.raises(ValueError, match="is full"):
        check_room(Library(settings_of(folder)), Owner(folder))


@pytest.mark.browser
@pytest.mark.slow
def test_a_person_filters_pages_by_keys_and_finds_remarks_after_a_restart(chromium, folder):
    table = table_of(run_in(folder))
    chosen = table.choose(Filter(right=("vanilla",), wrong=(ZIPPED,)))
    assert len(chosen) > 2
    with served(FakeWorker(), settings_of(folder)) as url, tab(chromium) as page:
        page.goto(f"{url}cases?run=pope")
        page.get_by_text(f"vanilla ✓, {ZIPPED} ✗").click()
        page.get_by_text(f"{len(chosen)} cases, page 1").wait_for()
        with closing(Tab(url)) as measured:  # as `cases measure` asks for pages
            shown = measured.event("act", {"query": "run=pope&page=1"})
            assert any("page 2 of 2" in str(one) for one in shown)
        page.locator("#cases .cards a").first.click()
        page.locator("#case h2").wait_for()
        assert parse_filter(page.url.partition("?")[2]).wrong == (ZIPPED,)
        assert f"case={chosen[0]}" in page.url
        page.keyboard.press("ArrowRight")
        page.wait_for_url(f"**case={chosen[1]}*")
        page.locator(f"#case nav >> text=2 of {len(chosen)}").wait_for()
        page.keyboard.press("3")
        page.locator("#case button[aria-pressed=true]").wait_for()
        page.keyboard.press("t")
        page.locator("#tag").fill("<b>odd</b>")
        page.locator("#tag").press("Enter")
        page.get_by_role("button", name="<b>odd</b> ×").wait_for()
        page.keyboard.press("n")
        address = page.url.replace(url, "")
        page.locator("#note").fill("look again")
        page.locator("#case a[data-key=ArrowRight]").click()  # sooner than the note is saved
        page.wait_for_url(f"**case={chosen[2]}*")
        wait_until(lambda: People(folder / "pope").of(chosen[1]).note == "look again")
        assert People(folder / "pope").of(chosen[2]).note == ""
    with served(FakeWorker(), settings_of(folder)) as url, tab(chromium) as page:
        page.goto(url + address)
        page.locator("#case button[aria-pressed=true]").wait_for()
        assert page.locator("#case button[aria-pressed=true]").inner_text() == "3 label wrong"
        assert page.locator("#note").input_value() == "look again"
        page.get_by_role("button", name="<b>odd</b> ×").wait_for()
        page.locator("#board .lane-picture img").first.wait_for(state="attached")
        page.locator("#again").click()
        page.locator("#cases-message >> text=Ran here").wait_for()


def run_in(folder):
    """The run that is there."""
    return Library(settings_of(folder)).run("pope", HERE)


def test_what_a_filter_shows_becomes_one_file(folder, tmp_path, monkeypatch):
    table = table_of(run_in(folder))
    chosen = table.choose(Filter())
    for _, ending in cases_files.FORMS:
        file = cases_files.write(table, chosen[:3], tmp_path, ending, ("vanilla", NUWA))
        assert file.name == f"pope-3-cases{ending or '.zip'}" and file.stat().st_size
    assert not (tmp_path / "pope-3-cases").exists(), "the zip file holds it"
    monkeypatch.setattr(cases_files, "MOST_DRAWN", 2)
    with pytest.raises(ExplainedError, match="at most 2"):
        cases_files.write(table, chosen[:3], tmp_path, ".html", ("vanilla", NUWA))
    with pytest.raises(ExplainedError, match="No case passes"):
        cases_files.write(table, [], tmp_path, ".csv", ("vanilla", NUWA))


@pytest.mark.browser
def test_a_late_answer_never_replaces_a_later_one(chromium, folder, monkeypatch):
    first, second, third, *_ = run_in(folder).cases
    show = CaseHandlers._show

    def slow(handlers, asked, *rest, **options):
        if asked.case == first:
            sleep(2)
        return show(handlers, asked, *rest, **options)

    monkeypatch.setattr(CaseHandlers, "_show", slow)
    with served(FakeWorker(), settings_of(folder)) as url, tab(chromium) as page:
        page.goto(f"{url}cases?run=pope")
        for case in (first, second, third):  # sooner than the first is shown
            page.locator(f'#cases .cards a[href$="case={case}"]').click()
        page.locator(f'#permalink[href$="case={third}"]').wait_for()
        page.wait_for_timeout(2500)
        assert page.locator("#permalink").get_attribute("href").endswith(third)
        page.keyboard.press("Escape")
        page.locator("#case h2").wait_for(state="detached")


@pytest.mark.browser
def test_the_exported_page_opens_without_a_server(chromium, folder, tmp_path):
    chosen = table_of(run_in(folder)).choose(Filter(right=("vanilla",), wrong=(ZIPPED,)))
    query = f"cases?run=pope&right=vanilla&wrong={ZIPPED}"
    with served(FakeWorker(), settings_of(folder)) as url, tab(chromium) as page:
        page.goto(url + query)
        page.locator("#cases .cards a").first.wait_for()
        page.locator("#export input").first.click()
        page.get_by_role("option", name="One HTML file").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export these cases").click()
        download.value.save_as(tmp_path / "cases.html")
    with tab(chromium) as page:
        page.goto((tmp_path / "cases.html").as_uri())
        assert page.locator("article img").count() == 3 * len(chosen)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.wait_for_url(f"**#{chosen[1]}")


def test_programs_list_filter_and_open_cases(folder):
    import gradio as gr

    from app.page.cases_api import cases_endpoints

    with gr.Blocks() as demo:
        cases_endpoints(Library(settings_of(folder)))
    listing, opening = (fn.fn for fn in demo.fns.values())
    visitor = SimpleNamespace(session_hash="a tab")
    assert listing(visitor)["runs"] == ["examples", "pope"]
    found = listing(visitor, "pope", f"right=vanilla&right={NUWA}", 2)
    assert found["count"] > 2 and len(found["cases"]) == 2
    opened = opening(visitor, "pope", found["cases"][0]["id"])
    assert opened["lanes"]["vanilla"]["right"] is True
    with pytest.raises(gr.Error, match="no case"):
        opening(visitor, "pope", "x")


# The note waits for ever, and so does an answer while `stalled`.
SLOW = """const wait = setTimeout, ask = fetch;
window.setTimeout = (act, time, ...more) => wait(act, time === 300 ? 1e8 : time, ...more);
window.fetch = (to, options) => window.stalled && String(to).includes("queue/join")
  ? new Promise(() => {}) : ask(to, options);"""


@pytest.mark.browser
def test_a_remark_is_saved_although_the_tab_is_closed_at_once(chromium, folder):
    case, kept = list(run_in(folder).cases)[-1], "keep what is typed here"
    with served(FakeWorker(), settings_of(folder)) as url, tab(chromium) as page:
        page.add_init_script(SLOW)
        page.goto(f"{url}cases?run=pope&case={case}")
        page.locator("#note").wait_for()
        page.locator("#cases-message [data-number='0']").wait_for(state="attached")
        page.evaluate("window.stalled = true")
        page.locator("#case button[data-key='2']").click()
        page.locator("#note").fill("gone?")
        page.close(run_before_unload=True)
        wait_until(lambda: People(folder / "pope").of(case).note == "gone?")
        assert People(folder / "pope").of(case).verdict == "model's fault"
        page = page.context.new_page()
        page.goto(url)
        page.locator("#keep").click()
        page.locator("#keep-note textarea").fill(kept)
        page.locator("#kept a").wait_for()
        page.close(run_before_unload=True)
        wait_until(lambda: kept in str(People(folder / "kept").all()))
