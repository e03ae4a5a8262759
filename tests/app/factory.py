"""Fake comparisons: a drawn picture, and traces like those of real methods."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from app.render.mp4 import write_mp4
from models.analysis.study import Study
from models.engine.record import (
    Blocked,
    Comparison,
    LaneAnalysis,
    LaneFailure,
    LaneResult,
    Phase,
    Timeline,
    Truth,
)
from models.uploads.media import Media, drawn
from pruning.budget import Averages
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

LAYERS = 32
TRUTH_BOX = (0.56, 0.38, 0.80, 0.72)


def picture(width: int = 640, height: int = 480, shift: int = 0) -> np.ndarray:
    """Sky, grass, a house and a red ball, with noise: enough for methods to tell tokens apart."""
    return _picture(width, height, shift).copy()


@cache
def _picture(width: int, height: int, shift: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    sky = np.stack([120 + 70 * y / height, 165 + 40 * y / height, 225 - 20 * y / height], axis=-1)
    image = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, int(0.62 * height), width, height), fill=(66, 98, 58))
    draw.rectangle((width // 8, height // 2, width // 3, height // 1.4), fill=(196, 178, 150))
    left, top, right, bottom = TRUTH_BOX
    ball = (left * width + shift, top * height, right * width + shift, bottom * height)
    draw.ellipse(ball, fill=(205, 40, 38))
    noise = np.random.default_rng(0).normal(0, 7, (height, width, 1))
    waves = 6 * np.sin(x / 9 + y / 13)[..., None]
    return np.clip(np.asarray(image) + noise + waves, 0, 255).astype(np.uint8)


def cell_features(frame: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """(N, 3) mean colour of each cell, from sums; 128 outside the picture, 0 for [CLS]."""
    size = np.array([frame.shape[1], frame.shape[0]] * 2)
    left, top, right, bottom = np.clip(layout.box[layout.placed] * size, 0, size).astype(int).T
    sums = np.pad(frame.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    area = ((right - left) * (bottom - top))[:, None]
    means = np.zeros((len(layout), 3))
    means[layout.placed] = np.where(area > 0, inside / np.maximum(area, 1), 128)
    return means


def importance(frame: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """(N,) distance of a cell from the median colour; infinite for [CLS]."""
    features, placed = cell_features(frame, layout), layout.placed
    scores = np.full(len(layout), np.inf)
    scores[placed] = np.linalg.norm(features[placed] - np.median(features[placed], axis=0), axis=1)
    scores[placed] += np.random.default_rng(1).normal(0, 18, placed.sum())
    return scores


def selection_step(indices: np.ndarray, n: int, layer: int = 0) -> TraceStep:
    edges = np.arange(len(indices))
    ones = np.ones(len(indices), dtype=np.float32)
    return TraceStep(
        layer, n, np.asarray(indices, dtype=np.int64), edges, np.asarray(indices), ones, {}
    )


def merge_step(
    anchors: np.ndarray, owner: np.ndarray, tags: dict | None = None, scores=None
) -> TraceStep:
    """`owner` (n,) is a row of `anchors` for every old token, −1 where it is dropped."""
    cols = np.flatnonzero(owner >= 0)
    cols = cols[np.argsort(owner[cols], kind="stable")]  # rows ascend, as in a TokenMap
    count = np.bincount(owner[cols], minlength=len(anchors))
    return TraceStep(
        0, len(owner), np.asarray(anchors, dtype=np.int64), owner[cols].astype(np.int64), cols,
        (1 / count[owner[cols]]).astype(np.float32), tags or {}, scores,
    )  # fmt: skip


def square_region(width: int = 640, height: int = 480) -> tuple[float, float, float, float]:
    """The region that a model sees if it pads to a square, as fractions of the frame."""
    extra = (max(width, height) / min(width, height) - 1) / 2
    return (0, -extra, 1, 1 + extra) if width > height else (-extra, 0, 1 + extra, 1)


def vanilla_trace(layout: TokenLayout | None = None) -> TokenTrace:
    return TokenTrace(layout or TokenLayout.regular(1, 24, 24), (), LAYERS)


def fastv_trace(frame: np.ndarray) -> TokenTrace:
    layout = TokenLayout.regular(1, 24, 24)
    best = np.sort(np.argsort(-importance(frame, layout))[:64])
    return TokenTrace(layout, (selection_step(best, 576, layer=2),), LAYERS)


def visionzip_trace(frame: np.ndarray) -> TokenTrace:
    """Keeps [CLS] and 53 dominant tokens; merges all others into 10 contextual ones."""
    layout = TokenLayout.regular(1, 24, 24, placeless=1)
    scores = importance(frame, layout)
    dominant = np.sort(np.argsort(-scores)[:54])
    rest = np.setdiff1d(np.arange(577), dominant)
    targets = rest[np.linspace(10, len(rest) - 10, 10).astype(int)]
    features = cell_features(frame, layout) + np.random.default_rng(2).normal(0, 4, (577, 3))
    distance = np.linalg.norm(features[:, None] - features[targets][None], axis=-1)  # (577, 10)
    owner = 54 + distance.argmin(axis=1)
    owner[dominant] = np.arange(54)
    owner[targets] = 54 + np.arange(10)
    kind = np.arange(64) < 54
    step = merge_step(
        np.concatenate([dominant, targets]), owner, tags={"dominant": kind, "contextual": ~kind},
        scores=np.nan_to_num(scores, posinf=999).astype(np.float32),
    )  # fmt: skip
    return TokenTrace(layout, (step,), LAYERS)


def nuwa_trace(frame: np.ndarray, region=(0.0, 0.0, 1.0, 1.0)) -> TokenTrace:
    """112 survivors spread over the grid, neighbours merged into them, then 16 inside the LLM."""
    layout = TokenLayout.regular(1, 24, 24, region)
    scores = importance(frame, layout)
    blocks = np.arange(576).reshape(12, 2, 12, 2).transpose(0, 2, 1, 3).reshape(144, 4)
    best = blocks[np.arange(144), scores[blocks].argmax(axis=1)]
    anchors = np.sort(best[np.argsort(-scores[best])[:112]])
    place = np.stack(np.divmod(np.arange(576), 24), axis=1)
    features = cell_features(frame, layout)
    near = np.linalg.norm(place[:, None] - place[anchors][None], axis=-1)
    alike = np.linalg.norm(features[:, None] - features[anchors][None], axis=-1)
    owner = np.where(near < 4.5, alike + 9 * near, np.inf).argmin(axis=1)
    owner[(np.where(near < 4.5, alike, np.inf).min(axis=1) > 24)] = -1
    owner[anchors] = np.arange(112)
    pillar = scores[anchors] >= np.sort(scores[anchors])[-11]
    first = merge_step(anchors, owner, tags={"pillar": pillar, "collector": ~pillar})
    later = np.sort(np.argsort(-scores[anchors])[:16])
    return TokenTrace(layout, (first, selection_step(later, 112, 16)), LAYERS)


def pooling_trace() -> TokenTrace:
    """Means of 3 × 3 cells, each in the place of its middle one."""
    row, col = np.divmod(np.arange(576), 24)
    owner = row // 3 * 8 + col // 3
    middle = np.arange(24 * 24).reshape(24, 24)[1::3, 1::3].ravel()
    return TokenTrace(TokenLayout.regular(1, 24, 24), (merge_step(middle, owner),), LAYERS)


def prumerge_trace(frame: np.ndarray) -> TokenTrace:
    """A selection, and one extra token without a place into which the others are merged."""
    layout = TokenLayout.regular(1, 24, 24)
    best = np.sort(np.argsort(-importance(frame, layout))[:40])
    owner = np.full(576, 40)
    owner[best] = np.arange(40)
    return TokenTrace(layout, (merge_step(np.append(best, -1), owner),), LAYERS)


def video_trace(frames: int = 4) -> TokenTrace:
    """Trees over time: a cell of a later frame goes into the same cell of the first."""
    rows, cols = 8, 8
    layout = TokenLayout.regular(frames, rows, cols)
    owner = np.tile(np.arange(rows * cols), frames)
    return TokenTrace(layout, (merge_step(np.arange(rows * cols), owner),), LAYERS)


def clip_file(path: Path, num_frames: int = 12) -> Path:
    """The clip as an H.264 file with twelve frames per second."""
    write_mp4(path, clip(num_frames, 160, 120).frames, 12)
    return path


def flash_trace(frames: int = 4) -> TokenTrace:
    """Two segments; in each frame four tokens stay, each other cell is one tree a segment."""
    layout = TokenLayout.regular(frames, 8, 8)
    segments = (np.arange(frames) >= frames / 2).astype(np.int64)
    cell, frame = np.tile(np.arange(64), frames), np.repeat(np.arange(frames), 64)
    chosen = cell % 17 == frame % 4  # four a frame
    first = np.array([np.flatnonzero(segments == segments[at])[0] for at in range(frames)])
    root = 64 * first[frame] + cell
    own = np.arange(64 * frames)
    adts = np.flatnonzero(chosen)
    tstm = np.setdiff1d(root, adts)
    anchors = np.sort(np.concatenate([adts, tstm]))
    owner = np.searchsorted(anchors, np.where(chosen | np.isin(root, adts), own, root))
    owner[~chosen & np.isin(root, adts)] = -1
    tags = {"adts": np.isin(anchors, adts), "tstm": np.isin(anchors, tstm)}
    step = replace(merge_step(anchors, owner, tags=tags), segments=segments)
    return TokenTrace(layout, (step,), LAYERS)


def clip(num_frames: int = 4, width: int = 160, height: int = 120) -> Media:
    """The picture with its ball rolling to the right, three frames per second."""
    frames = np.stack([picture(width, height, 4 * shift) for shift in range(num_frames)])
    return Media(frames, np.arange(num_frames) / 3, "video", "made up", 0.0123, "A note.")


def timeline(scale: float = 1.0, cold: bool = False) -> Timeline:
    tokens = round(576 * scale)
    phases = (
        Phase("read", 0.0042, 0, 0),
        Phase("encode", 0.0613, 0, 576),
        Phase("compress", 0.0 if scale == 1 else 0.0037, 576, tokens),
        Phase("prefill", 0.3071 * scale + 0.011, tokens + 40, tokens + 40),
        Phase("decode", 0.412 + 0.05 * scale, 1, 14),
    )
    return Timeline(phases, first_token=0.0011, cold=cold)


def lane(method: str, title: str, trace: TokenTrace, answer: str, **changes) -> LaneResult:
    share = trace.average
    values = {
        "method": method,
        "title": title,
        "knobs": {} if method == "vanilla" else {"retention_ratio": 0.111, "layers": (2, 16)},
        "asked_ratio": None if method == "vanilla" else 0.111,
        "answer": answer,
        "new_tokens": 14,
        "boxes": np.array([[0.55, 0.36, 0.81, 0.73]], dtype=np.float32),
        "trace": trace,
        "timeline": timeline(share),
        "text_tokens": 40,
        "kv_bytes": int(LAYERS * 2 * 2 * 4096 * (share * 576 + 54)),
        "tflops": 0.35 + 7.9 * share,
        "peak_bytes": None,
        "averages": Averages(*[576 * share] * 3),
    }
    return LaneResult(**(values | changes))


def comparison(**changes) -> Comparison:
    """Vanilla, VisionZip, Nüwa and a lane that could not run."""
    frame = picture()
    lanes = (
        lane("vanilla", "Vanilla", vanilla_trace(), "A red ball lies on the grass near a lake."),
        lane("visionzip", "VisionZip", visionzip_trace(frame), "A red ball lies near a lake.",
             boxes=np.array([[0.30, 0.52, 0.49, 0.88]], dtype=np.float32)),
        lane("nuwa", "Nüwa", nuwa_trace(frame), "A red ball lies on the grass near a house."),
        LaneFailure("fastv", "FastV", "FastV keeps 576 tokens in its first 2 of 32 layers, so its "
                    "smallest retention ratio here is 6.4 %; asked 5.0 %."),
    )  # fmt: skip
    values = {
        "model": "LLaVA-1.5-7B",
        "question": "Where is the red ball?",
        "media": drawn(frame),
        "lanes": lanes,
        "conditions": {"device": "NVIDIA H100", "dtype": "bfloat16", "attention": "sdpa",
                       "torch": "2.11.0", "transformers": "5.23.0", "runs": "1"},
        "truth": Truth("A red ball lies on the grass near a lake.", TRUTH_BOX),
        "options": {"max_new_tokens": 64, "temperature": 0.0, "seed": 0},
    }  # fmt: skip
    return Comparison(**(values | changes))


def same(one: object, other: object) -> bool:
    """Deep equality of records: types, dtypes, shapes and every value."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def analysis(lane: LaneResult, study: Study) -> LaneAnalysis:
    """Attention that wanders over the survivors of a lane, and a made-up answer for each cell."""
    trace, tokens = lane.trace, tuple(lane.answer.split(" ")[:3])
    maps = np.zeros((len(tokens), LAYERS, len(trace.layout)), dtype=np.float32)
    words = np.full((LAYERS, len(trace.layout)), -1)
    for layer in range(LAYERS):
        alive = trace.alive(layer)
        alive = alive[alive >= 0]
        maps[:, layer, alive[layer % len(alive)]] = 0.5
        words[layer, alive] = layer % 2
    ramp = np.linspace(0.1, 0.9, LAYERS)
    object_known = ramp if study.box else np.full(LAYERS, np.nan)
    curves = {"answer_flow": ramp, "cohesion": object_known, "cohesion_random": object_known / 2}
    blocked = tuple(Blocked(cell, 0.25, "A cup.", np.zeros((0, 4))) for cell in study.blocked)
    encoder = {"entropy_share": ramp[:3]}
    return LaneAnalysis(tokens, -1.0, curves, encoder, maps, words, ("a", "ball"), blocked)
