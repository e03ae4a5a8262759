"""Saves a finished or unfinished training: `python -m models.embedded.training.keep video`.

Writes a folder that is small enough to commit: the model in 16 bits, the number of steps, and the
logs (or those to `--logs`). A training continues from that folder with `--begin` or `--go-on`, with
a new optimiser. With `--out assets/embedded/video --logs models/embedded/logs/video` it becomes the
shipped model.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import PreTrainedModel

from models.embedded import build, build_video
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training.command import ROOT
from models.embedded.training.fit import weights_in

MOST_BYTES = 32_000_000


def trained_so_far(model: PreTrainedModel, work: Path) -> PreTrainedModel:
    """The model with the weights of the folder's checkpoint: of answers, else of the encoder."""
    stages = (("answers", "model.", model), ("encoder", "tower.", model.model.vision_tower))
    for stage, prefix, part in stages:
        checkpoint = work / f"{stage}.pt"
        if checkpoint.exists():
            weights = weights_in(checkpoint)
            part.load_state_dict(
                {name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)}
            )
            if stage == "answers":
                break
    return model


def steps_taken(work: Path) -> dict[str, dict[str, float]]:
    """Steps and seconds of each stage, from its checkpoint."""
    found = {}
    for checkpoint in sorted(work.glob("*.pt")):
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        found[checkpoint.stem] = {"step": state["step"], "seconds": round(state["seconds"])}
    return found


def keep(kind: str, work: Path, out: Path, logs: Path | None = None) -> int:
    """Write the folder `out`; returns its size in bytes.

    Raises:
        FileNotFoundError: `work` has no checkpoint.
    """
    taken = steps_taken(work)
    if not taken:
        raise FileNotFoundError(
            f"{work} has no checkpoint, wanted answers.pt or encoder.pt: run `make train-{kind}`."
        )
    tokenizer, module = make_tokenizer(), build_video if kind == "video" else build
    model = trained_so_far(module.untrained(tokenizer, seed=0), work)
    module.save(model, tokenizer, out)
    (out / "progress.json").write_text(json.dumps(taken, indent=1) + "\n")
    logs = logs or out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for log in work.glob("*.jsonl"):
        shutil.copy(log, logs / log.name)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["image", "video"])
    parser.add_argument("--work", type=Path, help="default: out/train-image or out/train-video")
    parser.add_argument("--out", type=Path, help="default: out/embedded/image or …/video")
    parser.add_argument("--logs", type=Path, help="folder of the logs; default: logs in --out")
    options = parser.parse_args()
    work = options.work or ROOT / "out" / f"train-{options.kind}"
    out = options.out or ROOT / "out" / "embedded" / options.kind
    size = keep(options.kind, work, out, options.logs)
    print(f"{out}: {size / 1e6:.1f} MB, {json.dumps(steps_taken(work))}")
    if size > MOST_BYTES:
        raise SystemExit(f"That is more than {MOST_BYTES / 1e6:.0f} MB, the most to commit.")


if __name__ == "__main__":
    main()
