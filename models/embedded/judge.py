"""Measures the accuracy of a model in a folder: `python -m models.embedded.judge FOLDER`.

Answers are greedy, about unseen scenes or clips, with all tokens or with a method. This is for
weights that are not shipped yet; `python -m app bench` measures the shipped ones.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

import torch

from models.catalog import find
from models.embedded.world import clip_questions, questions
from models.embedded.world.clips import as_media
from models.embedded.world.hard import find_split, hard_clip, hard_scene
from models.embedded.world.questions import Question
from models.embedded.world.skills import skill_questions
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.grounding import iou
from models.loading import load_card
from models.uploads.media import Media, drawn
from pruning.methods import create

FIRST = 10_000  # default first seed: weights are chosen on these seeds, reported on lower ones
ACCURATE_IOU = 0.5
MAX_NEW_TOKENS = 24
SKILLS = "skills"  # a kind of judgement: pictures, by the skill that a question needs


def cases(kind: str, count: int, first: int, split: str) -> Iterator[tuple[Media, Question]]:
    """Unseen scenes or clips, each with two questions (one for a box), or with one per skill."""
    if kind in ("image", SKILLS):
        draw = partial(hard_scene, find_split(split))
        ask = skill_questions if kind == SKILLS else questions.evaluation_questions
        for picture, question in ask(count, first, draw=draw):
            yield drawn(picture), question
    else:
        show = partial(hard_clip, find_split(split))
        for clip, question in clip_questions.evaluation_questions(count, first, draw=show):
            yield as_media(clip), question


def right(question: Question, result: LaneResult) -> float:
    """1 if the answer is the true word, or if the IoU of the box is at least `ACCURATE_IOU`."""
    if question.box is None:
        return float(result.answer.strip() == question.answer)
    if not len(result.boxes):
        return 0.0
    return float(iou(question.box, result.boxes[:1])[0] >= ACCURATE_IOU)


def judge(
    folder: Path, kind: str, asked: list[tuple[Media, Question]], method: str, ratio: float | None
) -> dict[str, float]:
    """Share of right boxes, of right other answers, and of right answers by sort of question."""
    model = "embedded-video" if kind == "video" else "embedded-image"
    card = replace(find(model), source=str(folder.resolve()))
    if kind == "video":
        card = replace(card, frames=len(asked[0][0].frames))
    adapter = load_card(card, "cpu")
    chosen = create(method) if ratio is None else create(method, retention_ratio=ratio)
    found: dict[str, list[float]] = defaultdict(list)
    for media, question in asked:
        *_, result = run_lane(adapter, media, question.text, chosen, max_new_tokens=MAX_NEW_TOKENS)
        assert isinstance(result, LaneResult)
        score = right(question, result)
        found[question.sort].append(score)
        found["boxes" if question.box else "words"].append(score)
    first = [found.pop(name) for name in ("boxes", "words")]
    shares = {name: mean(scores) for name, scores in found.items()}
    return {"boxes": mean(first[0]), "words": mean(first[1])} | dict(sorted(shares.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=["image", "video", SKILLS], default="image")
    parser.add_argument("--count", type=int, default=100, help="scenes or clips")
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--split", default="plain")
    parser.add_argument("--methods", default="vanilla")
    parser.add_argument("--ratios", default="0.222")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    asked = list(cases(options.kind, options.count, options.first, options.split))
    for method in options.methods.split(","):
        ratios = [None] if method == "vanilla" else map(float, options.ratios.split(","))
        for ratio in ratios:
            shares = judge(options.folder, options.kind, asked, method, ratio)
            rounded = {name: round(share, 3) for name, share in shares.items()}
            print(json.dumps({"method": method, "ratio": ratio} | rounded), flush=True)


if __name__ == "__main__":
    main()
