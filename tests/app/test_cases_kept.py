"""Comparisons that a person keeps from the board: their own set, its remarks, what is damaged."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from app.cases import library
from app.cases.exports import rows
from app.cases.filters import Filter, Table
from app.cases.kept import UNWRITTEN, Kept, keep
from app.cases.library import Library, Owner
from app.cases.people import People
from app.cases.rates import summarize
from app.reading import recordings
from app.recording import storage
from app.settings import Settings
from tests.app import factory
from tests.app.browser import choose_example, compare, launched, reload, served, tab
from tests.app.fake_worker import FakeWorker, wait_until


@pytest.fixture(scope="module")
def comparison():
    return factory.comparison()


def test_a_kept_comparison_opens_as_it_was_beside_others_of_other_lanes(comparison, tmp_path):
    first = keep(comparison, tmp_path)
    fewer = replace(comparison, lanes=comparison.lanes[:2], model="another-model")
    second = keep(fewer, tmp_path)
    assert keep(comparison, tmp_path) == first != second
    kept = Kept(tmp_path)
    names, opened = kept.open(first)
    assert factory.same(opened, comparison) and len(set(names)) == len(comparison.lanes)
    table = Table(kept, People(tmp_path).all())
    assert table.lanes[0] == "vanilla" and table.lanes_of(second) == names[:2]
    assert kept.asked_with(second)[0] == "another-model"
    assert len(summarize(table, Filter(), table.choose(Filter()))["lanes"]) == len(names)
    assert [set(row["lanes"]) for row in rows(table, [second])] == [set(names[:2])]


def test_a_damaged_recording_is_told_and_the_others_open(comparison, tmp_path):
    keep(comparison, tmp_path)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "record.json").write_text('{"format"')
    (tmp_path / "cut").rename(tmp_path / ".of-a-killed-program")
    assert not Kept(tmp_path).bad
    (tmp_path / ".of-a-killed-program").rename(tmp_path / "cut")
    kept = Kept(tmp_path)
    assert len(kept.cases) == 1 and kept.bad[0].place == "cut"


def test_a_full_disk_is_told_and_keeps_what_was_kept(comparison, tmp_path, monkeypatch):
    first = keep(comparison, tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "replace", full)
    with pytest.raises(ValueError, match=UNWRITTEN):
        keep(replace(comparison, model="another-model"), tmp_path)
    assert list(Kept(tmp_path).cases) == [first]


@pytest.fixture
def lasting(tmp_path):
    return replace(Settings(), cases=str(tmp_path / "runs"))


@pytest.mark.security
def test_strangers_do_not_see_what_others_keep(comparison, tmp_path, lasting):
    one, other = Owner(tmp_path / "one"), Owner(tmp_path / "other")
    for opened in (Library(Settings()), Library(lasting)):
        case = opened.keep(comparison, one)
        assert opened.names(one) == ["examples", "kept"] and opened.names(other) == ["examples"]
        assert list(opened.run("kept", one).cases) == [case]
        with pytest.raises(ValueError, match="there is examples"):
            opened.run("kept", other)
    team = Owner(tmp_path / "ada", "ada", trusted=True)
    Library(lasting).keep(comparison, team)
    Library(lasting).keep(comparison, replace(team, login=""))  # at this machine
    for name in ("kept", "kept-ada"):
        with pytest.raises(ValueError, match="there is examples"):
            Library(lasting).run(name, other)


def test_logins_share_their_sets_and_remarks_and_add_to_their_own(comparison, tmp_path, lasting):
    ada, bob = (Owner(tmp_path / name, name, trusted=True) for name in ("ada", "bob"))
    case = Library(lasting).keep(comparison, ada)
    Library(lasting).people("kept-ada", bob).note(case, "seen by bob")
    Library(lasting).keep(replace(comparison, model="another-model"), bob)
    assert Library(lasting).names(bob) == ["examples", "kept-ada", "kept-bob"]
    assert Library(lasting).table("kept-ada", ada).cases.note[case] == "seen by bob"
    assert list(Library(lasting).run("kept-ada", ada).cases) == [case]


def test_remarks_of_a_stranger_stay_with_the_stranger(comparison, tmp_path, lasting):
    here, stranger = Owner(tmp_path / "a", trusted=True), Owner(tmp_path / "b")
    keep(comparison, tmp_path / "runs" / "team")
    library = Library(lasting)
    case = next(iter(library.run("team", stranger).cases))
    library.people("team", here).note(case, "ours")
    library.people("team", stranger).note(case, "theirs")
    assert library.table("team", here).cases.note[case] == "ours"
    assert library.table("team", stranger).cases.note[case] == "theirs"
    assert library.table("team", here).cases.note[case] == "ours"


def test_a_table_is_made_once_until_a_remark_or_a_case_comes(comparison, tmp_path, lasting):
    library, here, other = Library(lasting), Owner(tmp_path / "a", trusted=True), Owner(tmp_path)
    case = library.keep(comparison, here)
    first = library.table("kept", here)
    assert library.table("kept", here) is first is not library.table("examples", here)
    assert library.table("examples", here) is library.table("examples", other)
    library.people("kept", here).note(case, "new")
    assert library.table("kept", here).cases.note[case] == "new"
    library.keep(replace(comparison, model="another-model"), here)
    assert len(library.table("kept", here).cases) == 2


def test_a_run_is_read_where_nothing_can_be_written(tmp_path, lasting):
    (tmp_path / "file").write_text("")
    nowhere = Owner(tmp_path / "file")  # no folder can be made below a file
    library = Library(lasting)
    case = next(iter(library.table("examples", nowhere).cases.index))
    with pytest.raises(ValueError, match="cannot be saved"):
        library.people("examples", nowhere).note(case, "lost")


def test_a_folder_of_recordings_is_listed_without_its_frames(comparison, tmp_path, monkeypatch):
    case = keep(comparison, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(recordings, "_frames", lambda *_: pytest.fail("a frame is decoded"))
        kept = Kept(tmp_path)
    assert kept.cases[case].question == comparison.question
    next((tmp_path / case).glob("frame_*.png")).write_bytes(b"cut")
    with pytest.raises(ValueError, match="damaged"):
        kept.open(case)


def test_a_run_opens_while_another_visitors_large_folder_is_read(comparison, tmp_path, monkeypatch):
    reading, release = Event(), Event()

    def slow(*_):
        reading.set()
        release.wait(10)
        return "read"

    shared, owner = Library(Settings()), Owner(tmp_path)
    shared.keep(comparison, owner)
    monkeypatch.setattr(library, "Kept", slow)
    with ThreadPoolExecutor() as pool:
        large = pool.submit(shared.run, "kept", owner)
        assert reading.wait(10)
        assert pool.submit(shared.run, "examples", owner).result(timeout=10).cases
        release.set()
        assert large.result() == "read"


@pytest.mark.browser
def test_a_comparison_is_added_to_the_cases_of_this_browser_with_verdict_tag_and_note():
    with (
        launched() as chromium,
        served(FakeWorker(), Settings()) as url,
        tab(chromium) as page,
    ):
        page.goto(url)
        choose_example(page)
        compare(page)
        page.locator("#keep").click()
        page.locator("#keeping").get_by_text("label wrong").click()
        page.locator("#keeping").get_by_label("Tag").fill("<b>odd</b>")
        page.locator("#keeping").get_by_label("Tag").press("Enter")
        page.locator("#kept").get_by_text("Tags: <b>odd</b>").wait_for()
        page.locator("#keeping").get_by_label("Note").fill("look again")
        page.locator("#keeping").get_by_label("Note").press("Tab")
        page.locator("#kept a").click()
        page.locator("#case button[aria-pressed=true]").wait_for()
        assert page.locator("#case button[aria-pressed=true]").inner_text() == "3 label wrong"
        page.get_by_role("button", name="<b>odd</b> ×").wait_for()
        wait_until(lambda: page.locator("#note").input_value() == "look again")
        page.locator("#board .lane-picture canvas").first.wait_for(state="attached")
        reload(page)
        page.locator("#case button[aria-pressed=true]").wait_for()
