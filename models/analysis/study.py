"""All measures of one lane, layer by layer, as arrays for charts and files."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.analysis.blocking import Edges, block
from models.analysis.measures import (
    attention_flow,
    effective_rank,
    gradient_flow,
    object_cohesion,
    random_cohesion,
    tokens_inside,
    visual_entropy,
)
from models.engine.pipeline import Lane
from models.engine.record import Blocked, Cell, LaneAnalysis
from models.engine.replay import LayerReading, Replay, Rows, log_probability
from models.engine.rerun import Run, run
from pruning.base import Needs
from pruning.errors import UnsupportedError
from pruning.token_map import TokenMap

FIXED_K = 16  # tokens, in addition to the count of the object
SPARE = 8  # tokens that a blocked answer may be longer than the lane's
CHUNK = 256  # visual rows whose logits are in memory at once

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Study:
    """The analysis that a job asks for: call it with a lane that has decoded."""

    box: Box | None = None  # of the object, on the last frame
    blocked: tuple[Cell, ...] = ()
    measured: tuple[str, ...] = ("llm", "encoder")  # none: only the blocked cells

    def __call__(self, lane: Lane) -> LaneAnalysis:
        """Raises `UnsupportedError` if the lane changed its cache while decoding.

        Also if a cell is about the object's tokens, and no original token lies on it.
        """
        started = time.perf_counter()
        of_object = any(cell.of_object for cell in self.blocked)
        if of_object and not object_tokens(lane, self.box).any():
            raise UnsupportedError("No token lies on the object: give a box around it.")
        replay = Replay.of(lane)
        found = self.measure(lane, replay) if "llm" in self.measured else None
        if found is None or self.blocked:
            with torch.inference_mode():
                opened, marked = run(replay), object_rows(lane, self.box)
                cells = tuple(block_cell(lane, opened, marked, cell) for cell in self.blocked)
            found = replace(found or unmeasured(lane, opened), blocked=cells)
        return replace(found, seconds=time.perf_counter() - started)

    def measure(self, lane: Lane, replay: Replay) -> LaneAnalysis:
        """Every measure of every LLM layer, and of every encoder layer if asked for."""
        marked, stages = object_rows(lane, self.box), stage_maps(lane)
        curves, maps, lens, watched = [], [], [], []
        for each in replay.layers(gradients=True, among_visual=True):
            if isinstance(each, Tensor):
                score = log_probability(each, replay.answer)
                continue
            with torch.inference_mode():  # one layer at a time: only one V × V array is in memory
                curves.append(layer_measures(each, marked[each.layer]))
                maps.append(spread(answer_attention(each), stages[each.layer]))
                lens.append(logit_lens(replay, each, len(lane.visual)))
            watched.append((each.rows, each.attention, each.probe))
        gradients = torch.autograd.grad(score, [probe for _, _, probe in watched])
        with torch.inference_mode():
            for curve, (rows, attention, _), gradient in zip(
                curves, watched, gradients, strict=True
            ):
                curve |= gradient_measures(rows, attention, gradient)
            words = np.stack(lens)
            ids, places = np.unique(words, return_inverse=True)
            return LaneAnalysis(
                tokens=answer_texts(lane, replay),
                log_probability=float(score.detach()),
                curves=columns(curves),
                encoder_curves=self.encoder_curves(lane),
                maps=np.stack(maps, axis=1).astype(np.float32),
                words=places.reshape(words.shape) - int(ids[0] < 0),
                vocabulary=tuple(lane.adapter.to_text([int(each)]) for each in ids if each >= 0),
            )

    def encoder_curves(self, lane: Lane) -> dict[str, np.ndarray]:
        if "encoder" not in self.measured:
            return {}
        return columns(encoder_measures(lane, object_tokens(lane, self.box)))


def unmeasured(lane: Lane, opened: Run) -> LaneAnalysis:
    """The answer and its probability, without any measure."""
    maps, words = np.zeros((0, 0, 0), np.float32), np.zeros((0, 0), np.int32)
    texts = answer_texts(lane, opened.replay)
    return LaneAnalysis(texts, float(opened.score), {}, {}, maps, words)


def answer_texts(lane: Lane, replay: Replay) -> tuple[str, ...]:
    return tuple(lane.adapter.to_text([int(token)]) for token in replay.answer)


def block_cell(lane: Lane, opened: Run, marked: list[Tensor], cell: Cell) -> Blocked:
    """The answer without the edges of a cell. `marked` (V,) bool is the object's rows by layer."""
    edges, adapter = Edges(cell.source, range(*cell.layers), cell.target, marked), lane.adapter
    ratio, ids = block(opened, edges, adapter.end_ids, len(opened.answer) + SPARE)
    text = adapter.to_text(ids)
    return Blocked(cell, ratio, text, adapter.boxes(lane.prompt, text))


def gradient_measures(rows: Rows, attention: Tensor, gradient: Tensor) -> dict[str, float]:
    """Flow weighted by the gradient (H, R, S), to the answer and to the question."""
    text = len(rows.text)
    parts = {"answer": slice(text, None), "text": slice(None, text)}
    return {
        f"{name}_gradient_flow": gradient_flow(attention[:, part], gradient[:, part], rows.visual)
        for name, part in parts.items()
    }


def layer_measures(reading: LayerReading, marked: Tensor) -> dict[str, float]:
    """The other measures of one LLM layer. `marked` (V,) bool is the object's rows."""
    rows, text = reading.rows, len(reading.rows.text)
    to_text, to_answer = reading.attention[:, :text], reading.attention[:, text:]
    received = to_answer[:, :, rows.visual].mean(dim=(0, 1))
    bits, share = visual_entropy(reading.among_visual)
    count, size = len(marked), int(marked.sum())
    return {
        "answer_flow": attention_flow(to_answer, rows.visual),
        "text_flow": attention_flow(to_text, rows.visual),
        "entropy": bits,
        "entropy_share": share,
        "cohesion": object_cohesion(received, marked),
        "cohesion_random": random_cohesion(count, size),
        "cohesion_fixed": object_cohesion(received, marked, FIXED_K),
        "cohesion_fixed_random": random_cohesion(count, size, FIXED_K),
        "rank": effective_rank(reading.inputs.float()),
    }


def encoder_measures(lane: Lane, inside: Tensor) -> list[dict[str, float]]:
    """The measures of each encoder layer up to the one that yields the features."""
    adapter, prompt, everything = lane.adapter, lane.prompt, Needs(encoder_received=(0, 1))
    encoder = adapter.encoder_of(prompt)
    states = encoder.hidden_states(prompt.pixels, Needs(encoder_span=(0, 1)))
    received = adapter.encode(prompt, everything).received  # (E, N)
    measured = []
    for index in range(encoder.feature_state):
        views = encoder.among(index, states[index])[:, encoder.prefix :, encoder.prefix :]
        entropies = [visual_entropy(view, causal=False) for view in views]
        bits, share = np.mean(entropies, axis=0)
        measured.append(
            {
                "entropy": bits,
                "entropy_share": share,
                "cohesion": object_cohesion(received[index], inside),
                "cohesion_random": random_cohesion(len(inside), int(inside.sum())),
            }
        )
    return measured


def object_tokens(lane: Lane, box: Box | None) -> Tensor:
    """(N,) bool: original tokens of the last frame whose centre is in the box; none without one."""
    layout = lane.visual.layout
    inside = np.zeros(len(layout), dtype=bool)
    if box is not None:
        inside = tokens_inside(layout.box, box) & (layout.frame == layout.frame.max())
    return torch.from_numpy(inside).to(lane.adapter.device)


def object_rows(lane: Lane, box: Box | None) -> list[Tensor]:
    """By LLM layer, (V,) bool: the visual rows that belong to the object; none without a box."""
    frame, inside = lane.visual.layout.frame, object_tokens(lane, box)
    last = torch.from_numpy(frame == frame.max()).to(inside.device)
    return [survivors_on(inside, last, stage) for stage in stage_maps(lane)]


def survivors_on(inside: Tensor, known: Tensor, token_map: TokenMap) -> Tensor:
    """(V,) bool: survivors of which at least half lies on the object, by provenance weights.

    `inside` (N,) bool marks the object's original tokens. Only tokens that are `known` (N,) to
    lie on the object or not count: its place is known in one frame.
    """
    sizes, none = token_map.weights.abs(), token_map.weights.new_zeros(len(token_map))
    on, of = (
        none.index_add(0, token_map.rows, sizes * mask[token_map.cols]) for mask in (inside, known)
    )
    return (on > 0) & (on >= of * (0.5 - 1e-4))  # sums of weights are not exact


def stage_maps(lane: Lane) -> list[TokenMap]:
    """By LLM layer, the map from the original tokens to the layer's visual rows."""
    inner, current, maps = dict(lane.inner_maps), lane.token_map, []
    for layer in range(lane.adapter.decoder.num_layers):
        if layer in inner:
            current = current.then(inner[layer])
        maps.append(current)
    return maps


def answer_attention(reading: LayerReading) -> Tensor:
    """(A, V) head mean of the answering rows' attention on the visual rows."""
    rows = reading.rows
    return reading.attention[:, len(rows.text) :, rows.visual].mean(0)


def spread(values: Tensor, token_map: TokenMap) -> np.ndarray:
    """Values (A, V) of survivors as values (A, N) of original tokens.

    A survivor's value is divided over its catchment by the size of the provenance weights.
    """
    weights = token_map.weights.abs()
    total = torch.zeros(len(token_map), device=weights.device).index_add(0, token_map.rows, weights)
    shares = weights / total[token_map.rows].clamp_min(1e-30)  # (E,)
    placed = values.new_zeros(len(values), token_map.n)
    return placed.index_add(1, token_map.cols, values[:, token_map.rows] * shares).cpu().numpy()


def logit_lens(replay: Replay, reading: LayerReading, count: int) -> np.ndarray:
    """Logit lens (N,) int32: the word that the head predicts from each visual row of a layer."""
    decoder, rows = replay.decoder, reading.rows
    parts = [
        decoder.head(decoder.model.norm(some)).argmax(-1) for some in reading.inputs.split(CHUNK)
    ]
    words = np.full(count, -1, dtype=np.int32)
    placed = (rows.anchors >= 0).cpu().numpy()
    words[rows.anchors.cpu().numpy()[placed]] = torch.cat(parts).cpu().numpy()[placed]
    return words


def columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """One array per name from one record per layer."""
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
