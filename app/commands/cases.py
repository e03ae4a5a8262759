"""`cases`: runs a set of cases under several methods, and reads, imports and exports such runs."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.commands.arguments import METHODS, add_json, print_report, ratios
from app.request import DEFAULTS, add_arguments, split_names
from app.settings import Settings

SET = "folder with cases.jsonl or cases.csv, a table, a COCO file, examples or drawn:image:300:7"
LOGS = "lmms-eval samples, VLMEvalKit predictions (xlsx, tsv, json) or lists of kept tokens"
FILES = "file.jsonl, .csv, .parquet, .html, .json (LLM Comparator), or a folder of recordings"
OPTIONS = ("model", "max_new_tokens", "temperature", "seed", "positions", "num_frames")


def add(commands: Any) -> None:
    parser = commands.add_parser("cases", help="ask a set of cases; read, import and export runs")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_run(actions)
    _add_scores(actions)
    _add_import(actions)
    _add_export(actions)
    _add_measure(actions)


def _add_run(actions: Any) -> None:
    parser = actions.add_parser("run", help="ask every case under every lane; goes on if stopped")
    parser.add_argument("set", help=SET)
    parser.add_argument("--methods", type=split_names, default=["visionzip", "nuwa"], help=METHODS)
    parser.add_argument(
        "--retention",
        type=ratios,
        default=[DEFAULTS["retention_ratio"]],
        help="such as 0.333,0.111",
    )
    parser.add_argument("--pictures", type=Path, help="folder that file names are relative to")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    add_arguments(parser, OPTIONS)
    parser.set_defaults(run=run)


def _add_scores(actions: Any) -> None:
    parser = actions.add_parser("scores", help="rates, 95 %% intervals and paired tests of a run")
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("--filter", default="", help="such as 'right=vanilla&kind=colour'")
    add_json(parser)
    parser.set_defaults(run=scores)


def _add_import(actions: Any) -> None:
    parser = actions.add_parser("import", help="add a lane that another program ran")
    parser.add_argument("file", type=Path, help=LOGS)
    parser.add_argument("--out", type=Path, required=True, help="folder of a run, old or new")
    parser.add_argument("--lane", default="", help="its name; default: the file's")
    parser.add_argument("--set", default="", help=f"of a new run, for the pictures: {SET}")
    parser.set_defaults(run=import_lane)


def _add_export(actions: Any) -> None:
    parser = actions.add_parser("export", help="write cases of a run for other programs")
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("to", type=Path, help=FILES)
    parser.add_argument("--filter", default="", help="such as 'right=vanilla&kind=colour'")
    parser.add_argument("--lanes", type=split_names, default=[], help="two, for LLM Comparator")
    parser.set_defaults(run=export_cases)


def _add_measure(actions: Any) -> None:
    parser = actions.add_parser("measure", help="size and times of a store of synthetic cases")
    parser.add_argument("--cases", type=int, default=10_000)
    add_json(parser)
    parser.set_defaults(run=measure)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.cases.run import plan, run_cases
    from app.cases.sets import read_set
    from app.jobs import default_card

    out = options.out
    model = options.model or default_card(_kind(options.set), settings).name
    planned = plan(
        model,
        options.methods,
        options.retention,
        replace(settings, model=model),
        options.positions,
        options.num_frames,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        seed=options.seed,
    )
    case_set = read_set(options.set, settings, out / "pictures", options.pictures)
    print(f"{len(case_set.cases):,} cases × {len(planned.lanes)} lanes, {model}")
    for bad in case_set.bad:
        print(f"left out: {bad.place}: {bad.reason}")
    run_cases(case_set, planned, out, settings)
    print(f"saved to {out}")


def import_lane(options: argparse.Namespace, settings: Settings) -> None:
    from app.cases.imports import import_file
    from app.cases.sets import read_set

    out = options.out
    case_set = read_set(options.set, settings, out / "pictures") if options.set else None
    for bad in import_file(options.file, out, settings, options.lane, case_set):
        print(f"left out: {bad.place}: {bad.reason}")
    print(f"saved to {out}")


def export_cases(options: argparse.Namespace, settings: Settings) -> None:
    from app.cases.exports import LEFT_OUT, export
    from app.cases.filters import parse_filter

    table = _table(options.folder, settings)
    chosen = table.choose(parse_filter(options.filter))
    path = export(table, chosen, options.to, options.lanes)
    named = path / LEFT_OUT
    left_out = named.read_text(encoding="utf-8").splitlines() if named.exists() else []
    for line in left_out:
        print(f"left out: {line}")
    print(f"{len(chosen) - len(left_out):,} of {len(chosen):,} cases saved to {path}")


def scores(options: argparse.Namespace, settings: Settings) -> None:
    from app.cases.filters import parse_filter
    from app.cases.rates import summarize, text_of

    table = _table(options.folder, settings)
    asked = parse_filter(options.filter)
    summary = summarize(table, asked, table.choose(asked))
    print_report(summary, text_of(summary), options.json)


def measure(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure.cases import measure_store, table_of

    with tempfile.TemporaryDirectory() as folder:
        report = measure_store(Path(folder, "run"), options.cases)
    print_report(report, table_of(report), options.json)


def _kind(source: str) -> str:
    return "video" if source.startswith("drawn:video") else "image"


def _table(folder: Path, settings: Settings) -> Any:
    from app.cases.filters import Table
    from app.cases.people import People
    from app.cases.store import Run

    return Table(Run(folder, settings), People(folder).all())
