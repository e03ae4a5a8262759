"""A run of cases: through the worker, resumed after kill -9, one bad file costs one row."""

import json
import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.__main__ import main
from app.cases import library, store
from app.cases import run as running
from app.cases.results import Results
from app.cases.run import plan, run_cases
from app.cases.sets import read_set
from app.cases.store import Run, RunError, writing
from app.page.cases_remarks import sources
from app.resume import Lines
from app.settings import ROOT, Settings
from app.worker.event_stream import EventStream
from app.worker.parallel import ParallelWorker
from app.worker.protocol import BusyError
from models.engine.record import LaneFailure
from pruning.trace import Fate
from tests import cases_walk, killed_run
from tests.app.cases import HERE, make_folder
from tests.app.fake_worker import FakeWorker

SETTINGS = Settings()


def planned(methods=("visionzip", "nuwa"), **changes):
    numbers = {"max_new_tokens": 8, "temperature": 0.0, "seed": 0} | changes
    return plan("embedded-image", methods, [0.222], SETTINGS, **numbers)


def run(folder, source="drawn:image:6:3", worker=None, **changes):
    case_set = read_set(source, SETTINGS, folder / "pictures")
    worker = worker or FakeWorker()
    run_cases(case_set, planned(**changes), folder, SETTINGS, worker)
    return worker


class Stopping(FakeWorker):
    """A worker that is interrupted at its third job."""

    def run(self, job, cancelled=None):
        if len(self.jobs) == 2:
            raise KeyboardInterrupt
        return super().run(job, cancelled)


def test_a_stopped_run_asks_only_what_is_left_and_ends_like_one_that_was_not(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", worker=Stopping())
    halfway = Run(tmp_path / "a")
    assert halfway.results.case.nunique() == 2
    journal = tmp_path / "a" / "journal.jsonl"
    journal.write_text(journal.read_text() + '[{"case": "cut sh')
    assert len(run(tmp_path / "a").jobs) == 4
    run(tmp_path / "b")
    stopped, whole = Run(tmp_path / "a"), Run(tmp_path / "b")
    assert killed_run.same(stopped, whole) and len(whole.results) == 18
    assert not run(tmp_path / "a").jobs


def test_a_run_in_progress_is_shown_with_the_cases_that_came_meanwhile(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", worker=Stopping())
    shared = library.Library(replace(SETTINGS, cases=str(tmp_path)))
    opened = shared.run("a", HERE)
    assert "6 cases of drawn:image:6:3, 2 with answers." in sources(opened)
    first, _, third, *_ = opened.cases
    Results(tmp_path / "a")[third] = [row | {"case": third} for row in opened.rows(first)]
    assert shared.run("a", HERE) is opened, "a large run is not opened for every case"
    monkeypatch.setattr(library, "MOST_LATE", 0)
    now = shared.run("a", HERE)
    assert third in now.asked and len(now.asked) == 3 and len(now.rows(third)) == 3
    assert shared.run("a", HERE) is now


class LateEnd(FakeWorker):
    """A worker whose stream ends a moment after its last event, as on a busy machine."""

    def run(self, job, cancelled=None):
        with EventStream(cancelled) as stream:
            for event in super().run(job, cancelled):
                stream.put(event)
            threading.Timer(0.05, stream.end).start()
            yield from stream


def test_a_stream_that_ends_late_does_not_stop_the_run(tmp_path):
    assert len(run(tmp_path, worker=LateEnd()).jobs) == 6


def test_an_opened_case_is_the_comparison_that_ran(tmp_path):
    worker = FakeWorker(failing=("nuwa",))
    run(tmp_path / "a", worker=worker)
    opened = Run(tmp_path / "a")
    case = next(iter(opened.cases))
    comparison = opened.comparison(case)
    job = worker.jobs[0]
    assert np.array_equal(comparison.media.frames, job.media.frames)
    assert comparison.question == job.question and comparison.truth.box == job.truth.box
    vanilla, zipped, failed = comparison.lanes
    assert vanilla.answer and isinstance(failed, LaneFailure)
    row = opened.results.query("case == @case and lane == 'visionzip@0.222'").iloc[0]
    trace = zipped.trace
    kept = trace.fate[trace.layout.placed] == Fate.KEPT
    assert kept.sum() == row.kept and row.dropped + row.merged > 0
    assert row.object_tokens > 0 and row.reason


def test_tokens_are_not_drawn_over_a_picture_that_was_replaced(tmp_path):
    (tmp_path / "set").mkdir()
    file = tmp_path / "set" / "a.png"
    scenes = [(ROOT / "assets" / "examples" / f"scene-{n}.png").read_bytes() for n in (1, 2)]
    file.write_bytes(scenes[0])
    (tmp_path / "set" / "cases.jsonl").write_text('{"file": "a.png", "question": "Where?"}')
    run(tmp_path / "a", str(tmp_path / "set"))
    (case,) = Run(tmp_path / "a").cases
    file.write_bytes(scenes[1])
    with pytest.raises(ValueError, match=r"a\.png is another picture than the one that was asked"):
        Run(tmp_path / "a").open(case)
    file.write_bytes(scenes[0])
    assert Run(tmp_path / "a").open(case)


def test_of_a_folder_of_31_files_every_bad_row_and_file_costs_itself_alone(tmp_path):
    folder = make_folder(tmp_path / "set")
    assert len(list(folder.iterdir())) == 31
    run(tmp_path / "a", str(folder))
    opened = Run(tmp_path / "a")
    assert len(opened.bad) == 13 and all(bad.reason and bad.place for bad in opened.bad)
    failed = opened.results.failure.dropna()
    assert len(failed) == 3 and failed.str.contains("cut.png is damaged").all()
    assert opened.results.answer.count() == 26 * 3
    assert "27 cases of" in (said := sources(opened)) and "13 rows were left out." in said


def test_a_worker_that_answers_no_case_stops_the_run(tmp_path):
    class Unable(FakeWorker):
        def run(self, job, cancelled=None):
            raise ValueError("The model could not be loaded.")

    with pytest.raises(ValueError, match="could not be loaded"):
        run(tmp_path, worker=Unable())


def test_a_run_over_two_devices_ends_like_one_on_one(tmp_path):
    source = "drawn:image:2:3"
    run(tmp_path / "two", source, ParallelWorker([FakeWorker(), FakeWorker()]))
    run(tmp_path / "one", source)
    assert killed_run.same(Run(tmp_path / "two"), Run(tmp_path / "one"))


def test_a_lost_worker_is_asked_again_and_stops_the_run_only_if_it_stays_lost(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(running, "WAITS", (0, 0))

    class Lost(FakeWorker):
        def run(self, job, cancelled=None):
            self.asked = getattr(self, "asked", 0) + 1
            if self.asked in (2, 3) or self.asked > 4:
                raise BusyError("The worker was lost.")
            return super().run(job, cancelled)

    with pytest.raises(BusyError, match=r"No worker answered image 4 in 3 tries.*same command"):
        run(tmp_path, worker=Lost())
    assert len(Run(tmp_path).asked) == 2
    run(tmp_path)
    assert Run(tmp_path).results.failure.isna().all()


def test_another_run_in_the_folder_and_a_second_writer_are_refused(tmp_path):
    run(tmp_path / "a")
    with pytest.raises(RunError, match="another lanes"):
        run(tmp_path / "a", methods=("fastv",))
    with pytest.raises(RunError, match="other cases"):
        run(tmp_path / "a", "drawn:image:5:3")
    about = tmp_path / "a" / "run.json"
    about.write_text(about.read_text().replace('"weights": "', '"weights": "other'))
    with pytest.raises(RunError, match="another weights"):
        run(tmp_path / "a")
    with writing(tmp_path / "b"), pytest.raises(RunError, match="Another process"):
        run(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="no run"):
        run(tmp_path / "c")


def test_a_full_disk_stops_the_run_in_one_sentence_and_loses_nothing(tmp_path, monkeypatch):
    whole = Lines.add

    def cut(lines, value):
        if lines._path.read_bytes().count(b"\n") < 2:
            return whole(lines, value)
        with lines._path.open("a") as file:
            file.write(json.dumps(value)[:40])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Lines, "add", cut)
        with pytest.raises(ValueError, match=r"No space left.*what was stored is kept"):
            run(tmp_path / "a")
    assert len(Run(tmp_path / "a").asked) == 2
    assert len(run(tmp_path / "a").jobs) == 4 and len(Run(tmp_path / "a").results) == 18


@pytest.mark.parametrize("killed_at", ["run.new", "run.json"])
def test_a_run_that_was_killed_while_it_began_goes_on(killed_at, tmp_path, monkeypatch):
    replace = store.os.replace

    def kill(source, target):
        if target.name != "run.json" or killed_at == "run.json":
            replace(source, target)
        if target.name == "run.json":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store.os, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "a")
    assert len(run(tmp_path / "a").jobs) == 6


@pytest.mark.security
def test_an_id_that_leaves_the_folder_of_an_export_is_refused(tmp_path):
    run(tmp_path / "a")
    path = tmp_path / "a" / "cases.parquet"
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist([rows[0] | {"id": "../../mine"}, *rows[1:]]), path)
    with pytest.raises(RunError, match=r"has the id '\.\./\.\./mine'"):
        Run(tmp_path / "a")


def test_a_run_of_another_version_is_refused(tmp_path):
    run(tmp_path / "a")
    about = tmp_path / "a" / "run.json"
    about.write_text(about.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(RunError, match="no run of this version; run the set again"):
        Run(tmp_path / "a")


def test_a_journal_that_a_packed_part_repeats_is_not_counted_twice(tmp_path):
    run(tmp_path / "a")
    results = Results(tmp_path / "a")
    row = Run(tmp_path / "a").rows(next(iter(results.asked)))
    results._journal.add([{**one, "arrays": []} for one in row])  # killed before it was cleared
    assert len(Run(tmp_path / "a").results) == 18
    assert len(Results(tmp_path / "a").asked) == 6


@pytest.mark.slow
@pytest.mark.checkpoint
def test_a_run_killed_twice_ends_like_one_that_was_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in this process: the sums are equal
    source = str(make_folder(tmp_path / "set", asked=2))
    whole = killed_run.killed(source, tmp_path / "whole", (), main)
    stopped = killed_run.killed(source, tmp_path / "stopped", (1, 2), main)
    assert killed_run.same(whole, stopped) and len(stopped.results) == 4 * 4
    assert len(stopped.about["sessions"]) == 3
    assert capsys.readouterr().out.count("left out: cases.jsonl, line ") == 2 * 13
    failed = stopped.results[stopped.results.failure.notna()]
    assert len(failed) == 4 and failed.failure.str.contains("cut.png is damaged").all()


@pytest.mark.slow
@pytest.mark.checkpoint
def test_the_walk_of_the_docs_runs_as_it_is_written(tmp_path):
    said = cases_walk.walk(tmp_path)
    assert "left out: cases.jsonl, line 9" in said and "McNemar" in said
    opened = Run(tmp_path / "runs" / "photos")
    assert len(opened.cases) == 8 and opened.lanes[-1] == "mine"
    (kept,) = opened.results.query("lane == 'mine'").to_dict("records")
    assert kept["right"] and len(opened.comparison(kept["case"]).lanes) == 5
    assert (tmp_path / "photos.html").stat().st_size > 10_000


def test_a_method_that_needs_a_gaze_is_refused_before_a_run_begins():
    with pytest.raises(ValueError, match="a set of questions has no gaze"):
        plan("embedded-image", ["gazevlm"], [0.222], SETTINGS)
