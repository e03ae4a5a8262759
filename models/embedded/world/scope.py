"""Whether a question is one that an embedded model was trained on, and what to say where it is not.

The questions are few enough to be written out: a question is inside if it is one of them, but for
capitals, punctuation, articles and spaces, and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from models.embedded.world import clip_questions as clips
from models.embedded.world import questions as pictures
from models.embedded.world.sprites import COLOURS, KINDS

ARTICLES = frozenset({"a", "an", "the"})
NAMED = 4  # unknown words, at most; then "and others"
ANY_SIZE = ("", "small", "large")  # no question asks for a medium car
ANY_COLOUR = ("", *COLOURS)
SIDES = ("on the left", "on the right", "at the top", "at the bottom")
ANYWHERE = ("", *SIDES)
SPELLINGS = ("colour", "color")


@dataclass(frozen=True)
class Scope:
    """What a model was trained to be asked."""

    asked: Callable[[], frozenset[str]]  # every question, without what does not matter
    known: Callable[[], frozenset[str]]  # every word of its questions and answers
    can_answer: str  # for a person

    def note(self, title: str, question: str) -> str:
        """Two lines for a person whose question is outside; nothing for one that is inside."""
        if _plain(question) in self.asked():
            return ""
        return (
            f"{title} was not trained on this question: {self._reason(question)}. "
            f"What it answers is a guess.\nIt can answer: {self.can_answer}"
        )

    def _reason(self, question: str) -> str:
        unknown = [word for word in essentials(question) if word not in self.known()]
        if not unknown:
            return "it knows the words, but none of its questions has this form"
        return f"it does not know {_quoted(list(dict.fromkeys(unknown)))}"


def essentials(text: str) -> list[str]:
    """The words that matter, in lower case."""
    return [word for word in re.findall(r"[\w'’]+", text.casefold()) if word not in ARTICLES]


def _quoted(words: list[str]) -> str:
    """The word “mood”; the words “mood” and “weather”."""
    named = [f"“{word}”" for word in words[:NAMED]]
    if len(words) > NAMED:
        named.append("others")
    if len(named) == 1:
        return f"the word {named[0]}"
    return f"the words {', '.join(named[:-1])} and {named[-1]}"


@cache
def picture_questions() -> frozenset[str]:
    sized = _phrases(ANY_SIZE, ANY_COLOUR, KINDS)
    several = (*map(pictures.plural, KINDS), *_phrases(ANY_COLOUR, ("objects",)))
    return frozenset(
        (
            *_filled(pictures.GROUNDING, _phrases(sized, ANYWHERE)),
            *_filled(pictures.EXISTENCE, _phrases(ANY_COLOUR, KINDS)),
            *_filled(pictures.COUNTING, several),
            *_filled(pictures.COLOUR, _phrases(ANY_SIZE, KINDS, ANYWHERE)),
            *_filled(pictures.PLACE, _phrases(SIDES)),
            *_filled(pictures.SIDE, sized),
        )
    )


@cache
def clip_questions() -> frozenset[str]:
    coloured = _phrases(ANY_COLOUR, KINDS)
    return frozenset(
        (
            *_filled(clips.MOTION, coloured),
            *_filled((*clips.LAST, *clips.FIRST, *clips.ENTERS), ("",)),
            *_filled(clips.BECOMES, _phrases(KINDS)),
            *_filled(clips.END, coloured),
        )
    )


@cache
def picture_words() -> frozenset[str]:
    return _words((*pictures.vocabulary(), *pictures.ANSWERS))


@cache
def clip_words() -> frozenset[str]:
    return _words((*clips.vocabulary(), *clips.ANSWERS))


def _plain(text: str) -> str:
    return " ".join(essentials(text))


def _phrases(*parts: Iterable[str]) -> list[str]:
    """Every choice of one from each part, joined."""
    return [_plain(" ".join(chosen)) for chosen in product(*parts)]


def _filled(templates: Iterable[str], phrases: Sequence[str]) -> Iterator[str]:
    for template, spelling in product(templates, SPELLINGS):
        form = _plain(template.format("0", spelling))  # no template has a figure of its own
        yield from (form.replace("0", phrase) for phrase in phrases)


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in essentials(text))


PICTURES = Scope(picture_questions, picture_words, pictures.CAN_ANSWER)
CLIPS = Scope(clip_questions, clip_words, clips.CAN_ANSWER)
