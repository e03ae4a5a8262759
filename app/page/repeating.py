"""The request of a recording, so that the form can ask the same question here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from PIL import Image

from app.guard.gradio_internals import save_picture
from app.jobs import check_number, offered
from app.page.choices import method_choices
from app.page.following import SAMPLING
from app.request import DEFAULTS, Request
from app.settings import Settings
from models.engine.checks import check_gaze
from models.engine.record import Comparison, LaneResult
from models.uploads.media import Media
from pruning.errors import ExplainedError


def request_of(comparison: Comparison, settings: Settings) -> Request | None:
    """The request that runs its lanes here; None where the form cannot ask for them all.

    The picture is written as an upload. A clip is not: a recording holds some frames of it.
    """
    media = comparison.media
    cards = {card.name: card for card in offered(settings) if media.kind in card.media}
    if comparison.model not in cards:
        return None
    names = {label: name for name, label in method_choices(comparison.model)}
    first, *others = comparison.lanes
    ran = [lane for lane in others if isinstance(lane, LaneResult)]
    ratios = {lane.asked_ratio for lane in ran if lane.asked_ratio is not None}
    numberings = {str(lane.knobs.get("numbering", "published")) for lane in ran}
    known = first.method == "vanilla" and all(lane.title in names for lane in others)
    if not known or len(ratios) > 1 or len(numberings) > 1:
        return None
    sent: dict[str, Any] = {name: comparison.options.get(name, DEFAULTS[name]) for name in SAMPLING}
    sent["retention_ratio"] = next(iter(ratios), DEFAULTS["retention_ratio"])
    if media.kind == "video":
        sent["num_frames"] = len(media.frames)
    try:
        sent = {name: check_number(name, value, settings) for name, value in sent.items()}
        sent["gaze"] = gaze_text(comparison.options)
    except ExplainedError:
        return None
    return Request(
        upload=_upload(media),
        question=comparison.question,
        model=comparison.model,
        methods=[names[lane.title] for lane in others],
        positions=next(iter(numberings), "published"),
        **sent,
    )


def gaze_text(options: Mapping[str, Any]) -> str:
    """The points of gaze of a recording as a request has them; "" for none.

    Raises `ExplainedError` for what are no points: the recording may come from a stranger.
    """
    try:
        text = " ".join(",".join(map(str, point)) for point in options.get("gaze", ()))
    except TypeError:
        raise ExplainedError("The recording has a gaze that is no list of points.") from None
    check_gaze(text)
    return text


def _upload(media: Media) -> str | None:
    with suppress(OSError):  # a full disk: the form stays without a picture
        if media.kind == "image":
            return save_picture(Image.fromarray(media.frames[0]), "png")
    return None
