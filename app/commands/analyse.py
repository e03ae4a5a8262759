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
        help="answers without edges to visual tokens, by quarters of the LLM or every N layers",
    )
    parser.add_argument(
        "--object-only", action="store_true", help="block edges to the object's tokens only"
    )
    parser.add_argument("--out", type=Path, help="folder for arrays, CSV and charts")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.recording.analysis import save_analysis
    from app.render import measures, summary
    from models.analysis.study import Study, cells_of

    names = options.measures.split(",")
    if wrong := [name for name in names if name not in measures.MEASURES]:
        raise ValueError(f"Measures are {', '.join(measures.MEASURES)}; {wrong[0]!r} came.")
    worker, job = arguments.worker_and_job(options, settings)
    box = parse_box(options.box) if options.box else job.truth.box if job.truth else None
    blocked: tuple[Cell, ...] = ()
    if options.block is not None:
        layers = worker.model(job.model).decoder.num_layers
        blocked = cells_of(layers, options.block, options.object_only)
    *_, last = worker.run(replace(job, study=Study(box, blocked)))
    comparison: Comparison = last.comparison
    print(summary.table(comparison))
    for name in names:
        print(f"\n{measures.curves_table(comparison, name)}")
    if blocked:
        print(f"\n{measures.blocking_table(comparison)}")
    if options.out:
        save_analysis(comparison, options.out)
        print(f"saved to {options.out}")


def parse_box(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"The box is {text!r}, wanted four numbers such as 0.1,0.2,0.5,0.6."
        ) from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            f"The box is {text!r}, wanted left < right and top < bottom within 0 to 1."
        )
    return left, top, right, bottom
