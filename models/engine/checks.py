"""Checks a lane's question and upload before anything runs."""

from __future__ import annotations

from pruning.errors import ExplainedError, UnsupportedError

MAX_QUESTION = 2_000
NOUNS = {"image": "a picture", "video": "a clip"}


def check_kind(title: str, role: str, able: frozenset[str], kind: str) -> None:
    """Raises `UnsupportedError` if a method or model (`role`) does not accept a kind of upload."""
    if kind not in able:
        accepted = " or ".join(NOUNS[each] for each in sorted(able))
        raise UnsupportedError(
            f"{title} takes {accepted}, and {NOUNS[kind]} came: "
            f"upload {accepted}, or choose another {role}."
        )


def check_question(question: str) -> str:
    """The question without surrounding space. Raises `ExplainedError` if it cannot be used."""
    question = question.strip()
    if not question:
        raise ExplainedError("The question is empty; ask something about the upload.")
    if any("\ud800" <= letter <= "\udfff" for letter in question):
        raise ExplainedError("The question contains bytes that are not text; send UTF-8.")
    if len(question) > MAX_QUESTION:
        raise ExplainedError(
            f"The question has {len(question):,} characters; the limit is {MAX_QUESTION:,}: "
            "shorten it."
        )
    return question
