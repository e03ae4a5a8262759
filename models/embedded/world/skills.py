"""Questions by skill, as SPEC and ViewSpatial-Bench split them, about unseen scenes.

Five skills are groups of the questions that training asks too. The sixth, the viewpoint of a thing
in the picture, is measured only: training never asks it, and its words are unknown to the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from models.embedded.world import questions
from models.embedded.world.questions import Asker, Question
from models.embedded.world.relations import RELATIONS, holds, named
from models.embedded.world.scenes import PIXELS, Scene, draw_scene, evaluation_seed

TRIES = 40  # per scene and skill
VIEWPOINT = "from the {0}'s view, is the {1} on the left or on the right?"
SEEING = ("cat", "fish", "bird", "dog", "rabbit", "turtle", "butterfly", "snail")  # have eyes
SIZES = {"small", "large"}
PLACES = ("on the left", "on the right", "at the top", "at the bottom")
MIRRORED = {"left of": "right", "right of": "left"}  # of a thing that faces the viewer


def viewpoint(scene: Scene, rng: np.random.Generator) -> Question | None:
    """A question about the side of an animal on which another thing is, from its own view.

    The animal faces the viewer, so its left is on the right of the picture.
    """
    beings = [thing for thing in scene.things if thing.kind in SEEING]
    if not beings or len(scene.things) < 2:
        return None
    being = beings[rng.integers(len(beings))]
    target = scene.things[rng.integers(len(scene.things))]
    names, others = named(being, scene.things), named(target, scene.things)
    sides = [side for how, side in MIRRORED.items() if holds(scene, target, being, how)]
    if target is being or not (names and others and sides):
        return None
    text = VIEWPOINT.format(rng.choice(names), rng.choice(others))
    subjects = (scene.things.index(being), scene.things.index(target))
    return Question(text, "viewpoint", sides[0], subjects=subjects)


def _names_size(question: Question) -> bool:
    return bool(SIZES & set(_words(question)))


def _names_place(question: Question) -> bool:
    absolute = question.sort == "side" or any(place in question.text for place in PLACES)
    return absolute and not _names_size(question) and not _relates(question)


def _relates(question: Question) -> bool:
    return any(f" {relation} the " in question.text for relation in RELATIONS)


def _words(question: Question) -> list[str]:
    return question.text.strip("?.").split()


def _any(question: Question) -> bool:
    return True


SKILLS: dict[str, tuple[tuple[Asker, ...], Callable[[Question], bool]]] = {
    "size": ((questions.grounding, questions.colour), _names_size),
    "absolute place": ((questions.grounding, questions.place, questions.side), _names_place),
    "relative place": ((questions.grounding, questions.relation), _relates),
    "existence": ((questions.existence,), _any),
    "count": ((questions.counting,), _any),
    "viewpoint": ((viewpoint,), _any),
}


def skill_questions(
    scenes: int,
    first: int = 0,
    pixels: int = PIXELS,
    draw: Callable[[int, int], Scene] = draw_scene,
) -> Iterator[tuple[np.ndarray, Question]]:
    """One question of each skill for each unseen scene that allows it; `sort` names the skill."""
    for index in range(first, first + scenes):
        seed = evaluation_seed(index)
        scene = draw(seed, pixels)
        for number, (skill, (askers, fits)) in enumerate(SKILLS.items()):
            rng = np.random.default_rng([seed, 2, number])
            for _ in range(TRIES):
                question = askers[rng.integers(len(askers))](scene, rng)
                if question is not None and fits(question):
                    yield scene.picture, replace(question, sort=skill)
                    break
