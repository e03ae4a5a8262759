"""All access to parts of Gradio 6.31 that are not its public interface.

Each function says what Gradio does and why the guard needs it. `tests/app/test_gradio_internals.py`
checks them against the installed version: run it first after an upgrade.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gradio import Blocks
from gradio.block_function import BlockFunction
from gradio.image_utils import save_image
from gradio.processing_utils import save_base64_to_cache
from gradio.route_utils import FnIndexInferError
from gradio.state_holder import SessionState
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like
from PIL import Image

__all__ = ["BlockFunction", "SessionState"]

UNKNOWN_FUNCTION = (FnIndexInferError, KeyError)  # raised for a function that the page lacks


def upload_folder() -> Path:
    """Gradio writes uploads and results to GRADIO_TEMP_DIR: the guard limits and cleans it."""
    return Path(get_upload_folder())


def example_copies(page: Blocks) -> list[str]:
    """Gradio copies a page's examples into the upload folder: expiry must not delete them."""
    return [path for block in page.blocks.values() for path in getattr(block, "keep_in_cache", ())]


def is_web_address(text: str) -> bool:
    """Gradio downloads such an address in place of a file: the upload inputs refuse it."""
    return is_http_url_like(text)


def save_data_url(url: str) -> str:
    """Gradio decodes a `data:` URL into a file; raises `ValueError` for damaged data."""
    try:
        return save_base64_to_cache(url, get_upload_folder())
    except LookupError as error:
        raise ValueError(str(error)) from error


def save_picture(picture: Image.Image, format: str) -> str:
    """Gradio writes a picture after its handler: written earlier, a full disk can be caught."""
    return save_image(picture, get_upload_folder(), format)


def is_unknown_function(page: Blocks, error: Exception, name: str | None) -> bool:
    """Gradio raises a plain `KeyError` of the number or "/name" of a function that it lacks.

    The guard answers 404 for it, and 500 for any other `KeyError`.
    """
    if isinstance(error, FnIndexInferError):
        return True
    key = next(iter(error.args), None)
    return key not in page.fns if isinstance(key, int) else key == f"/{name}"


def function_of(page: Blocks, function: BlockFunction | int) -> BlockFunction:
    """Gradio names a function of the page by its number or passes it whole."""
    return page.fns[function] if isinstance(function, int) else function


def begins_stream(page: Blocks, session: str | None, run: str | None) -> bool:
    """Gradio sends the first values of a generator as they are, and later ones as diffs."""
    return run not in page.pending_diff_streams.get(session, ())


def ends_session(function: BlockFunction) -> bool:
    """Gradio runs "unload" for a closed tab, and opens a session for each call of a program."""
    unload = any(event == "unload" for _, event in function.targets)
    return unload or function.api_visibility == "public"


def session_of_job(page: Blocks, event_id: str) -> str:
    """Gradio files a job under the session that a program names, else under the job's own id.

    The guard cancels the session's job when the program closes the stream of its answer.
    """
    queue = page._queue
    if job := queue.event_ids_to_events.get(event_id):
        return str(job.session_hash)
    finished = queue.pending_event_ids_session.items()
    return next((session for session, ids in finished if event_id in ids), event_id)


def busy_sessions(page: Blocks) -> set[str]:
    """Gradio keeps the events of calls that wait or run: their sessions must not be deleted."""
    return {event.session_hash for event in page._queue.event_ids_to_events.values()}


def stored_sessions(page: Blocks) -> Iterator[tuple[str, SessionState, datetime | None]]:
    """Gradio keeps the state of the last sessions, and when each was used: for cleanup."""
    holder = page.state_holder
    for session, state in list(holder.session_data.items()):
        yield session, state, holder.time_last_used.get(session)


def delete_session(page: Blocks, session: str) -> None:
    """Gradio deletes a session only for a newer one: the guard deletes it when it is done."""
    page.state_holder.session_data.pop(session, None)
    page.state_holder.time_last_used.pop(session, None)


def clear_sent_values(state: SessionState) -> None:
    """Gradio copies each value that a page receives, for deep links, which are closed here."""
    state.config_values.clear()


def reset_components(page: Blocks, state: SessionState) -> None:
    """Gradio keeps components as a session last saw them, with what they showed."""
    state.blocks_config.blocks = dict(page.default_config.blocks)


def has_value(state: SessionState) -> bool:
    """Gradio holds values of `gr.State` until their time to live ends: here, a comparison."""
    return any(state.state_data.values())


def unread_messages(page: Blocks) -> dict[str, int]:
    """Gradio keeps the messages of a finished call until they are read: counts by session."""
    busy = busy_sessions(page)
    pending = page._queue.pending_messages_per_session.items()
    return {session: messages.qsize() for session, messages in pending if session not in busy}


def delete_messages(page: Blocks, session: str) -> None:
    """Gradio never deletes unread messages: the guard does."""
    del page._queue.pending_messages_per_session[session]
    page._queue.pending_event_ids_session.pop(session, None)
