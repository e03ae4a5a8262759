"""Measures whether features contain places: `python -m models.embedded.training.probe`.

The position embeddings of the encoder are absolute, as in CLIP, so its features depend on the place
of a patch. Small probes predict row and column from the input of the projector, and from the visual
rows of the LLM after half of its layers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from models.catalog import find
from models.embedded.world.clips import as_media, draw_clip
from models.embedded.world.scenes import draw_scene, evaluation_seed
from models.families.llava_base import LlavaBase
from models.loading import load
from models.uploads.media import Media, drawn
from models.weights import identify
from pruning.base import Needs
from pruning.methods import create
from pruning.token_map import TokenMap

FIRST_SEEDS = {"train": 20_000, "test": 40_000}  # of evaluation: no model has seen them
UPLOADS = {"image": 300, "video": 90}  # pictures, or clips
TEST_SHARE = 1 / 3
WIDTHS = {"linear": (), "two layers": (256,)}  # of each probe's hidden layers
STEPS, BATCH, RATE = 600, 512, 2e-3


@dataclass(frozen=True)
class Reading:
    """Errors of one probe on one sort of state, over tokens that it was not trained on."""

    states: str  # the input of the probe
    probe: str
    grid: int  # rows, and columns
    error: float  # mean over rows and columns, in tokens, of the distance to the true one
    constant_error: float  # of the constant answer "the middle one"
    right: float  # share of rows and columns predicted exactly
    right_inside: float  # the same without the first and the last ones
    chance: float


def uploads(model: str, count: int, part: str) -> Iterator[Media]:
    """Drawn pictures or clips of the "train" or "test" seeds."""
    for index in range(count):
        seed = evaluation_seed(FIRST_SEEDS[part] + index)
        if "image" in find(model).media:
            yield drawn(draw_scene(seed).picture)
        else:
            yield as_media(draw_clip(seed))


@torch.no_grad()
def states_of(adapter: LlavaBase, media: Media) -> dict[str, Tensor]:
    """By name (frames, grid², ·): the input of the projector, and visual rows of the LLM."""
    prompt = adapter.prepare(media, "where?")  # after the picture: visual rows do not attend to it
    encoder, decoder = adapter.encoder, adapter.decoder
    features = encoder.maps(prompt.pixels, Needs())["features"][:, encoder.prefix :]
    visual = adapter.encode(prompt, Needs())
    tokens = adapter.project(visual.features)
    every, before = TokenMap.identity(len(tokens)), create("vanilla").positions.before
    sequence = adapter.splice(prompt, visual, every, tokens, before)
    hidden, cache = sequence.embeds, decoder.new_cache()
    rope, mask = decoder.rope(sequence.positions), decoder.causal_mask(hidden)
    half = decoder.num_layers // 2
    for layer in range(half):
        hidden = decoder.layer(layer, hidden, rope, mask, cache)
    rows = hidden[sequence.visual].unflatten(0, (len(media.frames), -1))
    return {"encoder features": features, f"LLM after layer {half} of {decoder.num_layers}": rows}


def gathered(adapter: LlavaBase, media: Iterator[Media], count: int) -> dict[str, Tensor]:
    """The states of all uploads, (all frames, grid², ·)."""
    seen = tqdm(media, desc="uploads", total=count, disable=None)  # None: not into a file
    found = [states_of(adapter, each) for each in seen]
    return {name: torch.cat([states[name] for states in found]) for name in found[0]}


def places(grid: int) -> Tensor:
    """(grid², 2) the row and the column of each token."""
    cell = torch.arange(grid**2)
    return torch.stack([cell // grid, cell % grid], -1)


def trained(states: Tensor, widths: tuple[int, ...], seed: int = 0) -> nn.Sequential:
    """A probe that predicts the row and the column of each of the states (F, grid², D)."""
    torch.manual_seed(seed)
    grid, width = round(states.shape[1] ** 0.5), states.shape[2]
    layers: list[nn.Module] = []
    for hidden in widths:
        layers += [nn.Linear(width, hidden), nn.GELU()]
        width = hidden
    probe = nn.Sequential(*layers, nn.Linear(width, 2 * grid))
    optimiser = torch.optim.AdamW(probe.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    inputs, truth = states.flatten(0, 1), places(grid).repeat(len(states), 1)
    for _ in range(STEPS):
        chosen = torch.randint(len(inputs), (BATCH,))
        predicted = probe(inputs[chosen]).view(-1, 2, grid)
        optimiser.zero_grad()
        cross_entropy(predicted.flatten(0, 1), truth[chosen].flatten()).backward()
        optimiser.step()
        schedule.step()
    return probe


@torch.no_grad()
def read(probe: nn.Sequential, states: Tensor) -> dict[str, float]:
    """Mean error in tokens and shares right over states (F, grid², D)."""
    grid = round(states.shape[1] ** 0.5)
    likely = probe(states).unflatten(-1, (2, grid)).softmax(-1)  # (F, grid², 2, grid)
    median = (likely.cumsum(-1) < 0.5).sum(-1).clamp_max(grid - 1)  # least expected error
    truth = places(grid)
    right = (likely.argmax(-1) == truth).float()  # (F, grid², 2)
    inside = (truth > 0) & (truth < grid - 1)
    return {
        "error": (median - truth).abs().float().mean().item(),
        "right": right.mean().item(),
        "right_inside": right[:, inside].mean().item(),
    }


def constant_error(grid: int) -> float:
    """Mean distance of all rows to the middle one."""
    return sum(abs(row - grid // 2) for row in range(grid)) / grid


def readings(train: dict[str, Tensor], test: dict[str, Tensor]) -> list[Reading]:
    """The errors of every probe on every sort of state."""
    rows = []
    for name, states in train.items():
        mean, deviation = states.mean((0, 1)), states.std((0, 1)) + 1e-6
        grid = round(states.shape[1] ** 0.5)
        for probe, widths in WIDTHS.items():
            fitted = trained((states - mean) / deviation, widths)
            predicted = read(fitted, (test[name] - mean) / deviation)
            limits = {"constant_error": constant_error(grid), "chance": 1 / grid}
            rows.append(Reading(name, probe, grid, **predicted, **limits))
    return rows


def measure(model: str, count: int | None = None) -> dict:
    """A report of probes, trained on two thirds of the uploads and tested on the others."""
    medium = "image" if "image" in find(model).media else "video"
    count = UPLOADS[medium] if count is None else count
    if count < 3:
        raise ValueError(f"{count} uploads came, wanted at least 3: to train on and to test.")
    adapter = load(model)
    tests = round(TEST_SHARE * count)
    counts = {"train": count - tests, "test": tests}
    train, test = (gathered(adapter, uploads(model, n, part), n) for part, n in counts.items())
    return {
        "model": model,
        "weights": identify(find(model)),
        "uploads": counts,
        "seeds": FIRST_SEEDS,
        "rows": [asdict(row) for row in readings(train, test)],
    }


def table(report: dict) -> str:
    """The readings as fixed-width text."""
    lines = [("states", "probe", "grid", "error", "constant", "right", "inside", "chance")]
    keys = ("error", "constant_error", "right", "right_inside", "chance")
    for row in report["rows"]:
        figures = (f"{row[key]:.3f}" for key in keys)
        lines.append((row["states"], row["probe"], f"{row['grid']}×{row['grid']}", *figures))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded-image")
    parser.add_argument("--uploads", type=int, help="pictures (default 300) or clips (90)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    report = measure(options.model, options.uploads)
    print(table(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
