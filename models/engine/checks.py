"""What a lane is asked, looked at before anything runs and refused in a sentence."""

from __future__ import annotations

MAX_QUESTION = 2_000
NOUNS = {"image": "a picture", "video": "a clip"}


def check_kind(title: str, role: str, able: frozenset[str], kind: str) -> None:
    """Refuse an upload that a method, or a model, cannot take."""
    if kind not in able:
        wanted = " or ".join(NOUNS[each] for each in sorted(able))
        raise ValueError(
            f"{title} takes {wanted}, and {NOUNS[kind]} came: "
            f"upload {wanted}, or choose another {role}."
        )


def checked(question: str) -> str:
    """The question without the space around it, or a sentence about what is wrong with it."""
    question = question.strip()
    if not question:
        raise ValueError("The question is empty; ask something about the upload.")
    if any("\ud800" <= letter <= "\udfff" for letter in question):
        raise ValueError("The question has bytes that are no text; wanted UTF-8.")
    if len(question) > MAX_QUESTION:
        raise ValueError(
            f"The question has {len(question):,} characters; at most {MAX_QUESTION:,} are taken."
        )
    return question
