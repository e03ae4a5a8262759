"""Draws a comparison into files, for the command line and the downloaded recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from app.render.boxes import draw_boxes
from app.render.chart import chart_png, chart_svg
from app.render.clip_timeline import clip_timeline_chart
from app.render.latency import latency_chart
from app.render.overlay import overlay
from app.render.overlay_clip import overlay_clip
from app.render.palette import lane_colours
from app.render.staircase import staircase_chart
from app.render.strip import strip
from app.render.tree_sheet import draw_tree
from app.render.trees import largest_trees
from models.engine.record import Comparison, LaneFailure, LaneResult

TREES = 3  # drawn of each lane: the largest before the LLM


def draw(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write the pictures of every lane and the charts; for a clip also strips, trees and an MP4."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    colours = lane_colours([lane.method for lane in comparison.lanes])
    names = _file_names(lane.method for lane in comparison.lanes)
    for lane, colour, name in zip(comparison.lanes, colours, names, strict=True):
        if isinstance(lane, LaneFailure):
            continue
        for kind, picture in _lane_pictures(comparison, lane, colour):
            written.append(folder / f"{kind}_{name}.png")
            picture.save(written[-1])
        if comparison.media.kind == "video":
            written.append(folder / f"overlay_{name}.mp4")
            overlay_clip(comparison.media, lane.trace, written[-1])
    charts = {"latency": latency_chart, "staircase": staircase_chart}
    if comparison.media.kind == "video":
        charts["timeline"] = clip_timeline_chart
    for kind, chart_of in charts.items():
        chart = chart_of(comparison)
        written += [folder / f"{kind}.png", folder / f"{kind}.svg"]
        chart_png(chart, written[-2])
        chart_svg(chart, written[-1])
    return written


def named_pictures(comparison: Comparison) -> Iterator[dict[str, Image.Image]]:
    """The pictures of each lane by kind; none of a failed lane."""
    colours = lane_colours([lane.method for lane in comparison.lanes])
    for lane, colour in zip(comparison.lanes, colours, strict=True):
        failed = isinstance(lane, LaneFailure)
        yield {} if failed else dict(_lane_pictures(comparison, lane, colour))


def _lane_pictures(
    comparison: Comparison, lane: LaneResult, colour: str
) -> Iterator[tuple[str, Image.Image]]:
    media, trace = comparison.media, lane.trace
    if media.kind == "image":
        yield "overlay", overlay(media.frames[0], trace)
    else:
        yield "strip", strip(media, trace)
        for place, one in enumerate(largest_trees(trace, TREES, layer=0), start=1):
            yield f"tree{place}", draw_tree(media, trace, one.survivor, layer=0)
    truth = comparison.truth.box if comparison.truth else None
    yield "boxes", draw_boxes(media.frames[-1], lane.boxes, truth, colour, layout=trace.layout)


def _file_names(methods: Iterable[str]) -> list[str]:
    """Unique and safe in a path: "fastv", "fastv_2"."""
    names: list[str] = []
    for method in methods:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", method).strip("_")[:40] or "lane"
        name, turn = stem, 1
        while name in names:
            turn += 1
            name = f"{stem}_{turn}"
        names.append(name)
    return names
