"""Checks a model with its weights on this machine: stock `generate` against our loops, and methods.

Four uploads that ship with the project, each answered by transformers and by the vanilla lane from
the same inputs; then one lane of each method. The report can be sent to the project.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from app.measure.asking import EncodedOnce
from app.measure.uploads import CENTRE
from app.render.table import text_table
from app.settings import EXAMPLES, Settings
from app.worker.conditions import conditions
from models.catalog import ModelCard
from models.engine.base import Adapter
from models.engine.pipeline import Lane, run_lane
from models.engine.record import LaneResult
from models.loading import load_card
from models.uploads.media import Media
from models.uploads.read import read_media
from pruning.base import CompressionMethod
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, one_of

UPLOADS = ("scene-1.png", "scene-2.png", "scene-3.png", "clip-1.mp4")
QUESTION = "What is in it, and where?"
NEW_TOKENS, LANE_TOKENS = 16, 4
TOLERANCE = {torch.float32: 1e-3}  # of a logit; in half precision kernels round by more
HALF_TOLERANCE = 0.1


def verify(
    card: ModelCard, frames: int, settings: Settings, names: Sequence[str] = ()
) -> dict[str, Any]:
    """The report; `ok` is true if every answer agrees and no method fails.

    `names` are the methods that run; none: all of them.
    """
    known = {method.name: method for method in METHODS}
    methods = [known[one_of(known, name, "method")] for name in names or known]
    adapter = load_card(card, settings.device or None, settings.dtype or None)
    uploads = {name: media for name, media in read(frames) if media.kind in adapter.media}
    answers = [{"upload": name, **compare(adapter, media)} for name, media in uploads.items()]
    lanes = []
    for media in {media.kind: media for media in reversed(uploads.values())}.values():
        once: Any = EncodedOnce(adapter) if adapter.device.type == "cpu" else adapter
        lanes += [run(once, media, method) for method in methods if media.kind in method.media]
    return {
        "model": card.name,
        "source": card.source,
        "random": bool(getattr(adapter.model.config, "tokenscope_random", card.random)),
        "conditions": conditions(adapter),
        "parameters": adapter.model.num_parameters(),
        "frames": frames,
        "answers": answers,
        "lanes": lanes,
        "ok": all(one["agrees"] for one in answers) and not any(one["failed"] for one in lanes),
    }


def read(frames: int) -> Iterator[tuple[str, Media]]:
    for name in UPLOADS:
        path = EXAMPLES / name
        yield name, read_media(path, frames)


def compare(adapter: Adapter, media: Media) -> dict[str, Any]:
    """Ids and logits of stock `generate` and of our loops, up to the first id that differs."""
    prompt = adapter.prepare(media, QUESTION)
    start = time.perf_counter()
    stock = adapter.generate(prompt, NEW_TOKENS, output_logits=True, return_dict_in_generate=True)
    between = time.perf_counter()
    ours = torch.stack(list(step(adapter, media, len(stock.logits))))
    end = time.perf_counter()
    wanted = torch.cat(stock.logits).float()
    same = ours.argmax(dim=1) == wanted.argmax(dim=1)
    alike = int(same.long().cumprod(dim=0).sum())  # tokens before the first that differs
    rows = slice(min(alike + 1, len(same)))  # after it, the two have read other tokens
    difference = float((ours[rows] - wanted[rows]).abs().max())
    return {
        "kind": media.kind,
        "visual_tokens": len(prompt.layout),
        "tokens": len(same),
        "alike": alike,
        "logit_difference": difference,
        "agrees": difference <= TOLERANCE.get(adapter.model.dtype, HALF_TOLERANCE),
        "generate_seconds": between - start,
        "vanilla_seconds": end - between,
        "answer": adapter.to_text(wanted.argmax(dim=1).tolist()),
    }


def step(adapter: Adapter, media: Media, count: int) -> Iterator[Tensor]:
    """Logits (vocabulary,) of `count` tokens of the vanilla lane."""
    vanilla = next(method for method in METHODS if method.name == "vanilla")
    lane = Lane(adapter, media, QUESTION, vanilla())
    for phase in (lane.read, lane.encode, lane.compress, lane.prefill):
        phase()
    logits = lane.state.logits
    yield logits
    with torch.inference_mode():
        for number in range(count - 1):
            positions = lane.state.positions + number
            logits = adapter.decoder.step(logits.argmax(), positions, lane.state.cache)
            yield logits


def run(adapter: Adapter, media: Media, method: type[CompressionMethod]) -> dict[str, Any]:
    """Times and memory of one lane; a method that refuses the upload has not failed."""
    row = {"method": method.name, "kind": media.kind, "refused": "", "failed": ""}
    try:
        *_, result = run_lane(
            adapter, media, QUESTION, method(), gaze=CENTRE, max_new_tokens=LANE_TOKENS
        )
    except UnsupportedError as error:
        return row | {"refused": str(error)}
    except Exception as error:
        return row | {"failed": f"{type(error).__name__}: {error}"}
    assert isinstance(result, LaneResult)
    seconds = {phase.name: phase.seconds for phase in result.timeline.phases}
    return row | {
        "measured_ratio": result.trace.average,
        "seconds": seconds,
        "kv_bytes": result.kv_bytes,
        "peak_bytes": result.peak_bytes,
        "answer": result.answer,
    }


def table(report: dict[str, Any]) -> str:
    """Both tables as text, and the verdict."""
    head = ("upload", "visual tokens", "ids alike", "largest logit difference", "generate", "ours")
    answers = [
        (
            one["upload"],
            f"{one['visual_tokens']:,}",
            f"{one['alike']} of {one['tokens']}",
            f"{one['logit_difference']:.2g}",
            f"{one['generate_seconds']:.1f} s",
            f"{one['vanilla_seconds']:.1f} s",
        )
        for one in report["answers"]
    ]
    lanes = [_lane(one) for one in report["lanes"]]
    device = ", ".join(f"{name} {value}" for name, value in report["conditions"].items())
    verdict = "green: every answer agrees, no method failed" if report["ok"] else "red: see above"
    columns = ("method", "upload", "kept", "first token", "cache", "note")
    parts = (text_table(head, answers), text_table(columns, lanes), device, verdict)
    return "\n\n".join(parts)


def _lane(one: dict[str, Any]) -> Sequence[str]:
    if one["refused"] or one["failed"]:
        return (one["method"], one["kind"], "", "", "", one["failed"] or "refuses such an upload")
    first = sum(one["seconds"][name] for name in ("read", "encode", "compress", "prefill"))
    kept, cache = f"{100 * one['measured_ratio']:.1f} %", f"{one['kv_bytes'] / 1e6:.1f} MB"
    return one["method"], one["kind"], kept, f"{first:.2f} s", cache, ""
