"""The same job without a page: `python -m app demo | compare | models | bench | speed | …`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from app.settings import Settings

POSITIONS = "published (default), perc, pesp, rpme or rpme_affine (ours)"
PARTS = "such as nuwa,nuwa:paper or parts composed: visionzip.before+fastv.inner+rpme"
SPLITS = "plain (default), sizes, crowd, clutter, alike, or hard: all four"
DRAWN = {  # command: the module whose `draw` does it, and what for
    "examples": ("app.docs.examples", "draw the example pictures and clips again"),
    "curves": ("app.docs.curves", "draw how the embedded models were trained"),
    "methods": ("app.docs.write_methods", "write docs/methods.md from the classes"),
    "catalogue": ("app.docs.write_models", "write docs/models.md from the cards"),
    "gallery": ("app.docs.gallery", "draw what every method does to one upload"),
    "figure": ("app.docs.figure", "draw the README's picture of trees again"),
}


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
    for add in (_add_demo, _add_compare, _add_bench, _add_timing, _add_speed):
        add(commands)
    for add in (_add_compression, _add_findings, _add_load, _add_space):
        add(commands)
    commands.add_parser("models", help="list the models there are").set_defaults(run=_models)
    for name, (module, about) in DRAWN.items():
        commands.add_parser(name, help=about).set_defaults(run=partial(_draw, module))
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser("demo", help="serve the page")
    demo.add_argument("--host", default="127.0.0.1")
    demo.add_argument("--port", type=int, default=7860)
    demo.set_defaults(run=_demo)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser("compare", help="ask one question about one picture or clip")
    compare.add_argument("file")  # text: a Path would hide that it is a URL
    asked = compare.add_mutually_exclusive_group(required=True)
    asked.add_argument("question", nargs="?")
    asked.add_argument("--locate", metavar="WHAT", help="a box is asked for, as the model knows it")
    compare.add_argument("--model", default="", help="default: what takes such a file")
    compare.add_argument("--methods", help=f"{PARTS}; default: what suits such a file")
    compare.add_argument("--retention", type=float, default=1 / 9, help="share of visual tokens")
    compare.add_argument("--frames", type=int, help="to sample of a clip; default: the model's own")
    compare.add_argument("--positions", default="published", help=POSITIONS)
    compare.add_argument("--max-new-tokens", type=int, default=64)
    compare.add_argument("--temperature", type=float, default=0.0)
    compare.add_argument("--seed", type=int, default=0)
    compare.add_argument("--out", type=Path, help="folder for the record and its pictures")
    compare.set_defaults(run=_compare)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="accuracy and time over drawn scenes or clips")
    bench.add_argument("--model", default=Settings.model)
    bench.add_argument("--scenes", "--clips", type=int, default=100, dest="count")
    bench.add_argument("--seed", type=int, default=0)
    bench.add_argument("--split", default="plain", help=SPLITS)
    bench.add_argument("--methods", help=f"{PARTS}; or all; default some of the model's media")
    bench.add_argument("--retention", help="comma-separated; default 33, 22 and 11 %% for scenes")
    bench.add_argument("--positions", default="published", help=POSITIONS)
    bench.add_argument("--jobs", type=int, help="processes, one thread each; default one a core")
    bench.add_argument("--json", type=Path, help="also write the report here")
    bench.set_defaults(run=_bench)


def _add_timing(commands: Any) -> None:
    timing = commands.add_parser("timing", help="a lane phase by phase: methods by ratios")
    timing.add_argument("--model", default=Settings.model)
    timing.add_argument("--methods", help=f"{PARTS}; default those of the model's media")
    timing.add_argument("--retention", help="comma-separated; default 33, 22 and 11 %% of pictures")
    timing.add_argument(
        "--frames", type=int, help="of a drawn clip, 0 for a picture; default: by model"
    )
    timing.add_argument("--size", default="384x384", help="of the drawn upload, height x width")
    timing.add_argument("--repeats", type=int, default=20, help="that count, after a warm-up")
    timing.add_argument("--new-tokens", type=int, default=16)
    timing.add_argument("--count", action="store_true", help="FLOPs and bytes only; nothing runs")
    timing.add_argument("--json", type=Path, help="also write the report here")
    timing.set_defaults(run=_timing)


def _add_speed(commands: Any) -> None:
    speed = commands.add_parser("speed", help="the page's own times, against generate and alone")
    speed.add_argument("--model", default=Settings.model)
    speed.add_argument("--repeats", type=int, default=9)
    speed.set_defaults(run=_speed)


def _add_compression(commands: Any) -> None:
    compression = commands.add_parser("compression", help="what compressing a 7B clip costs")
    compression.add_argument("--frames", default="8,16,32,64,128", help="for FlashVID by stage")
    compression.add_argument("--clip", type=int, default=32, help="frames, for all the methods")
    compression.add_argument("--tokens", type=int, default=196, help="visual tokens a frame")
    compression.add_argument("--width", type=int, default=3584, help="of a token, 128 a head")
    compression.add_argument("--retention", type=float, default=0.1, help="share of visual tokens")
    compression.add_argument("--repeats", type=int, default=5)
    compression.add_argument("--json", type=Path, help="also write the report here")
    compression.set_defaults(run=_compression)


def _add_findings(commands: Any) -> None:
    findings = commands.add_parser("findings", help="put the papers' findings to the test here")
    findings.add_argument("--pictures", type=int, help="of each seed")
    findings.add_argument("--clips", type=int, help="of each seed")
    findings.add_argument("--jobs", type=int, help="processes, one thread each; default one a core")
    findings.add_argument(
        "--out", type=Path, help="folder of docs and results; default the checkout"
    )
    findings.set_defaults(run=_findings)


def _add_load(commands: Any) -> None:
    load = commands.add_parser("load", help="many visitors at once, on this machine")
    load.add_argument("--visitors", type=int, default=50)
    load.add_argument("--seconds", type=float, default=120)
    load.set_defaults(run=_load)


def _add_space(commands: Any) -> None:
    space = commands.add_parser("space", help="a folder ready to be pushed as a Space")
    space.add_argument("--out", type=Path, default=Path("out/space"))
    space.add_argument("--zero", action="store_true", help="for ZeroGPU")
    space.set_defaults(run=_space)


def _demo(options: argparse.Namespace, settings: Settings) -> None:
    from app.page.build import serve

    serve(settings, host=options.host, port=options.port)


def _compare(options: argparse.Namespace, settings: Settings) -> None:
    from app.recording import drawings, storage
    from app.render import summary
    from app.request import read_job
    from app.worker.events import ComparisonDone
    from app.worker.start import local_worker
    from models.catalog import find
    from models.engine.record import LaneFailure

    if options.model:  # whoever runs the command sets the model, weights here or not
        settings = replace(settings, model=options.model)
    job = read_job(
        options.file,
        options.question or "",
        options.model,
        _names(options.methods) if options.methods is not None else None,
        options.retention,
        positions=options.positions,
        num_frames=options.frames,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        seed=options.seed,
        locate=options.locate,
        settings=settings,
    )
    if options.locate:
        print(job.question)
    if note := find(job.model).note_on(job.question):
        print(note)
    *_, last = local_worker(settings).run(job)
    assert isinstance(last, ComparisonDone)
    comparison = last.comparison
    print(summary.table(comparison))
    print(summary.conditions_line(comparison))
    print(summary.media_line(comparison.media))
    if options.out:
        storage.save(comparison, options.out)
        drawings.draw(comparison, options.out)
        print(f"saved to {options.out}")
    failed: dict[str, list[str]] = {}  # one reason may hold for every lane
    for lane in comparison.lanes:
        if isinstance(lane, LaneFailure):
            failed.setdefault(lane.reason, []).append(lane.title)
    if failed:
        raise ValueError(" ".join(f"{' and '.join(who)}: {why}" for why, who in failed.items()))


def _models(options: argparse.Namespace, settings: Settings) -> None:
    from app.docs import listing

    print(listing.table())


def _bench(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import bench

    _say_if_random(options.model)
    unit = bench.drawn_as(options.model)
    methods = options.methods or bench.METHODS[unit]
    report = bench.bench(
        options.model,
        options.count,
        options.seed,
        list(bench.every_method(options.model)) if methods == bench.EVERY else _names(methods),
        _ratios(options.retention or bench.RATIOS[unit]),
        options.positions,
        settings,
        options.jobs,
        options.split,
    )
    print(bench.table(report))
    if options.json:
        bench.save(report, options.json)
    print(json.dumps(report))


def _say_if_random(model: str) -> None:
    from models.catalog import find

    if (card := find(model)).random:
        print(card.note_on(""))


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _ratios(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"Retention is {text!r}, wanted numbers such as 0.333,0.111.") from None


def _timing(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import timing
    from app.request import first_kind
    from models.catalog import find

    card = find(options.model)
    default = card.frames if first_kind(card) == "video" else 0
    frames = default if options.frames is None else options.frames
    kind = "video" if frames else "image"
    report = timing.timing(
        options.model,
        _names(options.methods or timing.METHODS[kind]),
        _ratios(options.retention or timing.RATIOS[kind]),
        frames,
        _size(options.size),
        options.repeats,
        options.new_tokens,
        settings,
        options.count,
    )
    print(timing.table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise ValueError(f"Size is {text!r}, wanted height x width such as 336x336.") from None


def _speed(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import speed

    _say_if_random(options.model)
    report = speed.speed(options.model, options.repeats, settings)
    print(speed.table(report))
    print(json.dumps(report))


def _compression(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import compression

    report = compression.compression(
        _counts(options.frames),
        options.clip,
        options.tokens,
        options.width,
        options.retention,
        options.repeats,
    )
    print(compression.table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


def _counts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"Frames are {text!r}, wanted whole numbers such as 8,16,32.") from None


def _findings(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure.findings import write

    print(write.findings(options.pictures, options.clips, options.jobs, options.out, settings))


def _load(options: argparse.Namespace, settings: Settings) -> None:
    from app.measure import crowd as load

    report = load.load(options.visitors, options.seconds, settings)
    print(load.table(report))
    print(json.dumps(report))
    if found := load.complaints(report):
        raise ValueError(" ".join(found))


def _space(options: argparse.Namespace, settings: Settings) -> None:
    from app.commands import space

    print(space.build(options.out, options.zero))


def _draw(module: str, options: argparse.Namespace, settings: Settings) -> None:
    """What a module draws or writes, file by file."""
    for path in import_module(module).draw():
        print(path)


if __name__ == "__main__":
    sys.exit(main())
