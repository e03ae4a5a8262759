"""Questions about drawn scenes and clips, whose one right answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from models.embedded.world import clip_questions, questions
from models.embedded.world.clips import Clip, as_media
from models.embedded.world.hard import PLAIN, Split, hard_clip, hard_scene
from models.embedded.world.questions import Question
from models.engine.record import Truth
from models.uploads.media import Media, drawn


def draw_questions(
    kind: str, count: int, first: int = 0, split: Split = PLAIN
) -> Iterator[tuple[Media, Question, Clip | None]]:
    """Two questions about each of `count` uploads of unseen seeds: one for a box, one other.

    Args:
        kind: "image" for scenes, "video" for clips; only clips come with what they were drawn of.
        first: Number of the first upload.
        split: How scenes and clips differ from those of training.
    """
    if kind == "image":
        scenes = questions.evaluation_questions(count, first, draw=partial(hard_scene, split))
        for picture, question in scenes:
            yield drawn(picture), question, None
    else:
        clips = clip_questions.evaluation_questions(count, first, draw=partial(hard_clip, split))
        for clip, question in clips:
            yield as_media(clip), question, clip


def truth_of(question: Question) -> Truth:
    return Truth(question.answer, question.box)
