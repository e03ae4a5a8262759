"""Events between processes: the frames of the upload stay in the process that asks."""

from __future__ import annotations

from dataclasses import replace

from app.worker.events import ComparisonDone, Event
from models.uploads.media import Media
from pruning.errors import ExplainedError


def without_frames(media: Media) -> Media:
    return replace(media, frames=media.frames[:0])


def detach_media(event: Event, media: Media) -> Event:
    """The event to send, without frames."""
    return with_media(event, without_frames(media))


def with_media(event: Event, media: Media) -> Event:
    """The received event, with the asker's own upload."""
    if not isinstance(event, ComparisonDone):
        return event
    return ComparisonDone(replace(event.comparison, media=media))


def portable_error(error: Exception) -> Exception:
    """An error to send as the last event: that of an `ExplainedError`, else the type only.

    Other messages may quote a question, and a platform logs in full what its process raises.
    """
    if isinstance(error, ExplainedError):
        return ExplainedError(str(error))
    return RuntimeError(type(error).__name__)
