"""The same job without a page: `python -m app demo | compare | bench | speed | examples`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from app.settings import Settings

DEFAULT_METHODS = "vanilla,visionzip,nuwa,pooling"
POSITIONS = "published (default), perc, pesp, rpme or rpme_affine"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a bad request is one sentence on stderr and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options, Settings.from_environment())
    except (ValueError, OSError) as error:
        print(f"tokenscope: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="serve the page")
    demo.add_argument("--host", default="127.0.0.1")
    demo.add_argument("--port", type=int, default=7860)
    demo.set_defaults(run=_demo)

    compare = commands.add_parser("compare", help="ask one question about one picture")
    compare.add_argument("picture")  # text: a Path would hide that it is a URL
    compare.add_argument("question")
    compare.add_argument("--model", default=Settings.model)
    compare.add_argument("--methods", default=DEFAULT_METHODS, help="comma-separated")
    compare.add_argument("--retention", type=float, default=1 / 9, help="share of visual tokens")
    compare.add_argument("--positions", default="published", help=POSITIONS)
    compare.add_argument("--max-new-tokens", type=int, default=64)
    compare.add_argument("--temperature", type=float, default=0.0)
    compare.add_argument("--seed", type=int, default=0)
    compare.add_argument("--out", type=Path, help="folder for the record and its pictures")
    compare.set_defaults(run=_compare)

    bench = commands.add_parser("bench", help="accuracy and time over drawn scenes")
    bench.add_argument("--model", default=Settings.model)
    bench.add_argument("--scenes", type=int, default=100)
    bench.add_argument("--seed", type=int, default=0)
    bench.add_argument("--methods", default=DEFAULT_METHODS, help="comma-separated")
    bench.add_argument("--retention", default="0.333,0.222,0.111", help="comma-separated")
    bench.add_argument("--positions", default="published", help=POSITIONS)
    bench.add_argument("--jobs", type=int, help="processes, one thread each; default one a core")
    bench.add_argument("--json", type=Path, help="also write the report here")
    bench.set_defaults(run=_bench)

    speed = commands.add_parser("speed", help="the page's own times, against generate and alone")
    speed.add_argument("--model", default=Settings.model)
    speed.add_argument("--repeats", type=int, default=9)
    speed.set_defaults(run=_speed)

    examples = commands.add_parser("examples", help="draw the example pictures again")
    examples.set_defaults(run=_examples)
    return parser


def _demo(options: argparse.Namespace, settings: Settings) -> None:
    from app.ui.build import serve

    serve(settings, host=options.host, port=options.port)


def _compare(options: argparse.Namespace, settings: Settings) -> None:
    from app import recordings
    from app.events import ComparisonDone
    from app.render import summary
    from app.request import read_job
    from app.worker.local import LocalWorker
    from models.record import LaneFailure

    job = read_job(
        options.picture,
        options.question,
        options.model,
        _names(options.methods),
        options.retention,
        positions=options.positions,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        seed=options.seed,
        settings=settings,
    )
    *_, last = LocalWorker(settings).run(job)
    assert isinstance(last, ComparisonDone)
    comparison = last.comparison
    print(summary.table(comparison))
    print(summary.conditions_line(comparison))
    if options.out:
        recordings.save(comparison, options.out)
        recordings.pictures(comparison, options.out)
        print(f"saved to {options.out}")
    failed: dict[str, list[str]] = {}  # one reason may hold for every lane
    for lane in comparison.lanes:
        if isinstance(lane, LaneFailure):
            failed.setdefault(lane.reason, []).append(lane.title)
    if failed:
        raise ValueError(" ".join(f"{' and '.join(who)}: {why}" for why, who in failed.items()))


def _bench(options: argparse.Namespace, settings: Settings) -> None:
    from app import bench

    report = bench.bench(
        options.model,
        options.scenes,
        options.seed,
        _names(options.methods),
        _ratios(options.retention),
        options.positions,
        settings,
        options.jobs,
    )
    print(bench.table(report))
    if options.json:
        bench.save(report, options.json)
    print(json.dumps(report))


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _ratios(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"Retention is {text!r}, wanted numbers such as 0.333,0.111.") from None


def _speed(options: argparse.Namespace, settings: Settings) -> None:
    from app import speed

    report = speed.speed(options.model, options.repeats, settings)
    print(speed.table(report))
    print(json.dumps(report))


def _examples(options: argparse.Namespace, settings: Settings) -> None:
    from app.examples import draw

    for path in draw():
        print(path)


if __name__ == "__main__":
    sys.exit(main())
