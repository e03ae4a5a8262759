"""`sweep`: one question about one upload, for several methods at several ratios."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import arguments
from app.request import INPUTS, OPTIONS, RATIOS, add_arguments
from app.settings import Settings

if TYPE_CHECKING:
    from app.render.sweep import Sweep

RATIO_TEXT = ",".join(f"{ratio:.3g}" for ratio in RATIOS)


def add(commands: Any) -> None:
    parser = commands.add_parser("sweep", help="ask one question at several retention ratios")
    parser.add_argument("upload", metavar="file", help=INPUTS["upload"].help)
    parser.add_argument("question", help=INPUTS["question"].help)
    parser.add_argument(
        "--retention", default=RATIO_TEXT, help=f"comma-separated; default: {RATIO_TEXT}"
    )
    add_arguments(parser, [name for name in OPTIONS if name != "retention_ratio"])
    parser.add_argument("--out", type=Path, help="Folder for the record and its pictures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    """Prints the verdicts, a sentence for each method, and one JSON line."""
    from app.render.summary import conditions_line
    from app.render.sweep import Sweep, records, sentences, table

    ratios = arguments.ratios(options.retention)
    worker, job = arguments.worker_and_job(options, settings, ratios)
    *_, last = worker.run(job)
    sweep = Sweep(last.comparison, job.ratios)
    print(table(sweep))
    print("\n".join(sentences(sweep)))
    print(conditions_line(last.comparison))
    if options.out:
        _write(sweep, options.out)
    print(json.dumps({"question": job.question, "points": records(sweep)}))


def _write(sweep: Sweep, folder: Path) -> None:
    """Writes the record, the chart and a sheet of all overlays."""
    from app.recording import storage
    from app.render.chart import chart_png, chart_svg
    from app.render.sweep import sweep_chart
    from app.render.sweep_sheet import sweep_sheet

    storage.save(sweep.comparison, folder)
    chart = sweep_chart(sweep)
    chart_png(chart, folder / "sweep.png")
    chart_svg(chart, folder / "sweep.svg")
    sweep_sheet(sweep).save(folder / "sheet.png")
    print(f"saved to {folder}")
