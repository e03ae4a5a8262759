"""Events between processes: the upload stays with whoever asked, and does not travel back."""

from __future__ import annotations

from dataclasses import replace

from app.worker.events import ComparisonDone, Event
from models.uploads.media import Media


def emptied(media: Media) -> Media:
    """What is known of an upload, without its frames."""
    return replace(media, frames=media.frames[:0])


def without_media(event: Event, media: Media) -> Event:
    """As it leaves the process that ran."""
    if not isinstance(event, ComparisonDone):
        return event
    return ComparisonDone(replace(event.comparison, media=emptied(media)))


def with_media(event: Event, media: Media) -> Event:
    """As it arrives."""
    if not isinstance(event, ComparisonDone):
        return event
    return ComparisonDone(replace(event.comparison, media=media))


def named(error: Exception) -> Exception:
    """As it leaves: a sentence for people whole, of anything else the type.

    It travels like an event, the last one: what is raised instead, those who run the process write
    into a log in full, and that may quote a question.
    """
    if isinstance(error, ValueError):
        return ValueError(str(error))
    return RuntimeError(type(error).__name__)
