"""`cases`: runs a set of cases under several methods, and reads, imports and exports such runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.commands.arguments import METHODS, ratios
from app.request import add_arguments, split_names
from app.settings import Settings

SET = "folder with cases.jsonl or cases.csv, a table, a COCO file, examples or drawn:image:300:7"
OPTIONS = ("model", "max_new_tokens", "temperature", "seed", "positions", "num_frames")


def add(commands: Any) -> None:
    parser = commands.add_parser("cases", help="ask a set of cases; read, import and export runs")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_run(actions)


def _add_run(actions: Any) -> None:
    parser = actions.add_parser("run", help="ask every case under every lane; goes on if stopped")
    parser.add_argument("set", help=SET)
    parser.add_argument("--methods", type=split_names, default=["visionzip", "nuwa"], help=METHODS)
    parser.add_argument("--retention", type=ratios, default=[0.111], help="such as 0.333,0.111")
    parser.add_argument("--pictures", type=Path, help="folder that file names are relative to")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    add_arguments(parser, OPTIONS)
    parser.set_defaults(run=run)


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


def _kind(source: str) -> str:
    return "video" if source.startswith("drawn:video") else "image"
