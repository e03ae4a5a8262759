"""Checks whether an embedded model was trained on a question, and writes the warning if not.

The question must match the pattern of all question templates; capitals, punctuation, articles and
spaces do not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from models.embedded.world import clip_questions as clips
from models.embedded.world import events
from models.embedded.world import questions as pictures
from models.embedded.world.relations import RELATIONS
from models.embedded.world.sprites import COLOURS, KINDS, SIGN

ARTICLES = frozenset({"a", "an", "the"})
NAMED = 4  # unknown words, at most; then "and others"
SIDES = ("on the left", "on the right", "at the top", "at the bottom")


@dataclass(frozen=True)
class Scope:
    """The questions that a model was trained on."""

    asked: Callable[[], re.Pattern[str]]  # pattern of every question, as in `essentials`
    known: Callable[[], frozenset[str]]  # every word of its questions and answers
    can_answer: str  # for a person

    def note(self, title: str, question: str) -> str:
        """Two lines of warning for a question outside of the scope; else ""."""
        if self.asked().fullmatch(_plain(question)):
            return ""
        return (
            f"The answers are guesses: {title} {self._reason(question)}.\n"
            f"It can answer: {self.can_answer}"
        )

    def _reason(self, question: str) -> str:
        unknown = [word for word in essentials(question) if word not in self.known()]
        if not unknown:
            return "was not trained on questions of this form"
        return f"does not know {_quoted(list(dict.fromkeys(unknown)))}"


def essentials(text: str) -> list[str]:
    """The words of a text in lower case, without articles."""
    return [word for word in re.findall(r"[\w'’]+", text.casefold()) if word not in ARTICLES]


def _plain(text: str) -> str:
    return " ".join(essentials(text))


def _quoted(words: list[str]) -> str:
    """ "the word “mood”", "the words “mood” and “weather”"."""
    named = [f"“{word}”" for word in words[:NAMED]]
    if len(words) > NAMED:
        named.append("others")
    if len(named) == 1:
        return f"the word {named[0]}"
    return f"the words {', '.join(named[:-1])} and {named[-1]}"


def _any(choices: Iterable[str]) -> str:
    """A pattern for any of the choices."""
    longest_first = sorted(map(_plain, choices), key=len, reverse=True)
    return f"(?:{'|'.join(longest_first)})"


def _optional(choices: Iterable[str]) -> str:
    return f"(?:{_any(choices)} )?"


def _forms(templates: Iterable[str], *phrases: str) -> list[str]:
    """Patterns of the templates, with patterns in their placeholders."""
    found = []
    for template in templates:
        form = _plain(template.format("hole0", "hole1"))
        for index, phrase in enumerate(phrases):
            form = form.replace(f"hole{index}", phrase)
        found.append(form.strip())
    return found


def _pattern(*forms: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(form for group in forms for form in group))


KIND, COLOUR = _any(KINDS), _optional(COLOURS)
SIZE = _optional(("small", "large"))  # no question asks for a medium car
SPELLINGS = _any(("colour", "color"))
BESIDE = f"{_any(RELATIONS)} {COLOUR}{KIND}"


@cache
def picture_questions() -> re.Pattern[str]:
    side, sized = f"(?: {_any(SIDES)})?", f"{SIZE}{COLOUR}{KIND}"
    several = _any((*map(pictures.plural, KINDS), *(f"{c} objects" for c in COLOURS), "objects"))
    sign = f"{SIZE}{COLOUR}{SIGN}{side}"
    return _pattern(
        _forms(pictures.GROUNDING, f"(?:{sized}{side}|{COLOUR}{KIND} {BESIDE})"),
        _forms(pictures.EXISTENCE, f"{COLOUR}{KIND}"),
        _forms(pictures.COUNTING, several),
        _forms(pictures.COLOUR, f"{SIZE}{KIND}{side}", SPELLINGS),
        _forms(pictures.PLACE, f"(?:{_any(SIDES)}|{BESIDE})"),
        _forms(pictures.SIDE, sized),
        _forms(pictures.READING, sign),
        _forms(pictures.BACKGROUND),
    )


@cache
def clip_questions() -> re.Pattern[str]:
    coloured = f"{COLOUR}{KIND}"
    does = f"(?:appears|vanishes|turns {_any(COLOURS)}|moves {_any(events.WAYS[:4])})"
    event = f"{KIND} {does}"
    return _pattern(
        _forms(clips.MOTION, coloured),
        _forms((*clips.LAST, *events.FIRST, *clips.ENTERS)),
        _forms(clips.BECOMES, KIND, SPELLINGS),
        _forms(clips.END, coloured),
        _forms((*events.AFTER, *events.BEFORE, *events.ENTERED), event),
        _forms(events.DOES, KIND, event),
    )


@cache
def picture_words() -> frozenset[str]:
    return _words((*pictures.vocabulary(), *pictures.ANSWERS))


@cache
def clip_words() -> frozenset[str]:
    return _words((*clips.vocabulary(), *clips.ANSWERS))


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in essentials(text))


PICTURES = Scope(picture_questions, picture_words, pictures.CAN_ANSWER)
CLIPS = Scope(clip_questions, clip_words, clips.CAN_ANSWER)
