"""`analyse`: attention, entropy, cohesion and blocking, layer by layer, of every lane."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import arguments
from app.request import INPUTS, add_arguments
from app.settings import Settings

if TYPE_CHECKING:
    from models.engine.record import Cell, Comparison

DEFAULT = "answer_flow,entropy_share,cohesion"


def add(commands: Any) -> None:
    parser = commands.add_parser("analyse", help="see why: measures of every layer of every lane")
    parser.add_argument("upload", metavar="file", help=INPUTS["upload"].help)
    parser.add_argument("question", help=INPUTS["question"].help)
    add_arguments(parser)
    parser.add_argument("--measures", default=DEFAULT, help="to print; all are saved (%(default)s)")
    parser.add_argument("--box", help="the object, as left,top,right,bottom in shares of the frame")
    parser.add_argument(
        "--block",
        nargs="?",
        type=int,
        const=0,
        metavar="N",
        help="answers without attention edges, by quarters of the LLM or every N layers",
    )
    parser.add_argument(
        "--edges", help="to block, such as last-visual,last-text; default: all to visual tokens"
    )
    parser.add_argument("--out", type=Path, help="folder for arrays, CSV and charts")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.recording.analysis import save_analysis
    from app.render import measures, summary
    from models.analysis.cells import TO_VISUAL, cells_of, parse_edges
    from models.analysis.study import Study
    from models.grounding import check_region

    names = options.measures.split(",")
    if wrong := [name for name in names if name not in measures.MEASURES]:
        raise ValueError(f"Measures are {', '.join(measures.MEASURES)}; {wrong[0]!r} came.")
    if options.edges and options.block is None:
        raise ValueError("--edges came without --block. Add --block.")
    edges = parse_edges(options.edges) if options.edges else TO_VISUAL
    worker, job = arguments.worker_and_job(options, settings)
    box = job.truth.box if job.truth else None
    if options.box:
        box = check_region(options.box.split(","))
    blocked: tuple[Cell, ...] = ()
    if options.block is not None:
        layers = worker.model(job.model).decoder.num_layers
        blocked = cells_of(layers, options.block, edges)
    *_, last = worker.run(replace(job, study=Study(box, blocked)))
    comparison: Comparison = last.comparison
    print(summary.table(comparison))
    for name in names:
        print(f"\n{measures.curves_table(comparison, name)}")
    if blocked:
        print(f"\n{measures.blocking_table(comparison)}")
    print(f"\n{measures.seconds_line(comparison)}")
    if options.out:
        save_analysis(comparison, options.out)
        print(f"saved to {options.out}")
