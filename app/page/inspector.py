"""The inspector of a clip: one lane, one survivor, and the tokens merged into it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.guard.blocks import refusal
from app.guard.gradio_internals import save_picture
from app.page.download import download
from app.page.held import HeldComparison, comparison_of
from app.page.inputs import ChoiceInput
from app.render.overlay import legend
from app.render.overlay_clip import overlay_clip
from app.render.palette import at_layer
from app.render.sheet import Sheet
from app.render.strip import strip
from app.render.summary import lane_labels
from app.render.text import format_seconds
from app.render.tree_sheet import describe_tree, draw_tree, frames_of
from app.render.trees import Tree, largest_trees, token_at, tree_of, tree_on, tree_on_change
from models.engine.record import Comparison, LaneResult
from models.uploads.media import Media

WIDTH = 720  # of a sheet, in pixels of the page: frames in rows
FIRST = 0  # LLM layer: trees are those at the input of the LLM
ALL = -1  # choice in place of a survivor: the fates of all tokens
SAVE = "Download overlay clip"
DROPPED = "That token was dropped before the LLM. Click another."
HINT = "Click a token to see the survivor it was merged into."
UNSEEN = "The picture could not be written; the server's disk may be full. Try again later."
FORMAT = "jpeg"
log = logging.getLogger(__name__)

Update = dict[Any, Any]


def show_refusal(choose: Callable[..., Update]) -> Callable[..., Update]:
    """Put a refusal into the inspector's text, because these events skip Gradio's queue.

    The page of Gradio shows errors of queued events only.
    """

    @wraps(choose)
    def guarded(self: Inspector, *args: Any) -> Update:
        try:
            return choose(self, *args)
        except gr.Error as error:
            return {self.words: _status(str(error.message))}

    return guarded


@dataclass(frozen=True)
class Inspector:
    """The components, and their updates."""

    part: gr.Column
    lane: ChoiceInput
    survivor: ChoiceInput
    picture: gr.Image
    words: gr.HTML
    save: gr.Button
    file: gr.DownloadButton

    @property
    def outputs(self) -> list[Any]:
        return [self.part, self.lane, self.survivor, self.picture, self.words]

    def open(self, comparison: Comparison) -> Update:
        """Show the first lane with a tree on what the question is about, or with any tree.

        Where that was dropped, show all tokens. Hide the inspector for a picture.
        """
        finished = _finished(comparison)
        if comparison.media.kind != "video" or not finished:
            return dict.fromkeys(self.outputs, None) | {self.part: gr.Column(visible=False)}
        merging = [index for index, lane in finished.items() if _trees(lane, 1)]
        about = {index: _tree_asked_about(comparison, finished[index]) for index in merging}
        first, *_ = [
            *(index for index, tree in about.items() if tree and len(tree) > 1),
            *merging,
            max(finished),
        ]
        labels = lane_labels(comparison)
        return {
            self.part: gr.Column(visible=True),
            self.lane: gr.Dropdown([(labels[index], index) for index in finished], value=first),
            **self._show_lane(comparison, first),
        }

    @show_refusal
    def choose_lane(self, index: int, held: HeldComparison | None) -> Update:
        return self._show_lane(comparison_of(held), index)

    @show_refusal
    def choose_survivor(self, survivor: int, index: int, held: HeldComparison | None) -> Update:
        comparison = comparison_of(held)
        lane = _lane_at(comparison, index)
        if survivor != ALL and survivor not in at_layer(lane.trace, FIRST).survivor.tolist():
            raise refusal(f"The lane has no survivor {survivor!r:.40}. Choose one of the list.")
        return self._show(comparison.media, lane, survivor)

    @show_refusal
    def choose_token(
        self, shown: Any, index: int, held: HeldComparison | None, event: gr.SelectData
    ) -> Update:
        """Show the tree of the clicked token, also if it is too small for the list."""
        comparison = comparison_of(held)
        media, lane = comparison.media, _lane_at(comparison, index)
        survivor = _survivor_at(media, lane, shown, *event.index)
        if survivor is None:
            return {self.words: _status(HINT)}
        if survivor < 0:
            return {self.words: _status(DROPPED)}
        choices = _choices(media, lane, tree_of(lane.trace, survivor, FIRST))
        return {
            self.survivor: gr.Dropdown(choices, value=survivor),
            **self._show(media, lane, survivor),
        }

    def save_clip(self, index: int, held: HeldComparison | None) -> Iterator[Update]:
        comparison = comparison_of(held)
        lane = _lane_at(comparison, index)

        def write(folder: Path) -> Path:
            path = folder / f"overlay-{lane.method}.mp4"
            overlay_clip(comparison.media, lane.trace, path)
            return path

        yield from download(self.save, self.file, write, preparing="Preparing the clip")

    def _show_lane(self, comparison: Comparison, index: int) -> Update:
        lane = _lane_at(comparison, index)
        tree = _tree_asked_about(comparison, lane) if _trees(lane, 1) else None
        chosen = tree.survivor if tree else ALL
        return {
            self.survivor: gr.Dropdown(_choices(comparison.media, lane, tree), value=chosen),
            **self._show(comparison.media, lane, chosen),
        }

    def _show(self, media: Media, lane: LaneResult, survivor: int) -> Update:
        if survivor == ALL:
            picture, text = strip(media, lane.trace, width=WIDTH), legend(lane.trace)
        else:
            picture = draw_tree(media, lane.trace, survivor, width=WIDTH, layer=FIRST)
            text = describe_tree(media, lane.trace, survivor, FIRST)
            if len(frames_of(lane.trace, survivor, FIRST)) < len(media.frames):
                text += " (other frames are not shown)"
            left = int(lane.trace.left_at[survivor])
            if left < lane.trace.num_layers:
                text += f"; it was dropped before LLM layer {left}"
        path = self._save(picture)
        return {
            self.picture: gr.Image(path, alt_text=f"{lane.title}: {text}"),
            self.words: _status(f"{text}. {HINT if path else UNSEEN}"),
        }

    def _save(self, picture: Image.Image) -> str | None:
        """Write to Gradio's cache; None if the disk is full.

        If Gradio wrote the picture itself, after the handler, an error would lose all results.
        """
        try:
            return save_picture(picture, FORMAT)
        except OSError as error:
            log.error("picture not written", exc_info=error)
            return None


def declare() -> Inspector:
    """Declare the components, hidden until a comparison of a clip is done."""
    with gr.Column(visible=False, elem_id="inspect") as part:
        gr.HTML("<h2>Trees of tokens over the frames</h2>", apply_default_css=False)
        with gr.Row(elem_id="inspect-choice"):
            lane = ChoiceInput([], label="Lane", min_width=160, elem_id="inspect-lane")
            survivor = ChoiceInput([], label="Survivor", min_width=220, elem_id="inspect-survivor")
            save = gr.Button(SAVE, size="sm", elem_id="save-clip", elem_classes="quiet")
            file = gr.DownloadButton(visible="hidden", elem_id="clip-file")
        picture = gr.Image(
            format=FORMAT,
            type="filepath",
            interactive=False,
            show_label=False,
            buttons=["fullscreen"],
            elem_id="inspect-picture",
        )
        words = gr.HTML(elem_id="inspect-words", apply_default_css=False)
    return Inspector(part, lane, survivor, picture, words, save, file)


def _finished(comparison: Comparison) -> dict[int, LaneResult]:
    lanes = enumerate(comparison.lanes)
    return {index: lane for index, lane in lanes if isinstance(lane, LaneResult)}


def _lane_at(comparison: Comparison, index: Any) -> LaneResult:
    """The lane with an index that a page sent; accepts and refuses any value."""
    for place, lane in _finished(comparison).items():
        if place == index:
            return lane
    raise refusal(f"There is no lane {index!r:.40} to inspect. Choose one of the list.")


def _trees(lane: LaneResult, most: int = 12) -> list[Tree]:
    return largest_trees(lane.trace, most, FIRST)


def _tree_asked_about(comparison: Comparison, lane: LaneResult) -> Tree | None:
    """The tree on the true box, else on the first box of an answer, this lane's before others.

    Without a box, the tree on what changes in the clip. None if its tokens were dropped.
    """
    lanes = [lane, *_finished(comparison).values()]
    boxes = [tuple(box) for one in lanes for box in one.boxes.tolist()]
    if comparison.truth and comparison.truth.box:
        boxes.insert(0, comparison.truth.box)
    frames = comparison.media.frames
    if boxes:
        return tree_on(lane.trace, len(frames) - 1, boxes[0], FIRST)
    return tree_on_change(lane.trace, frames, FIRST)


def _choices(media: Media, lane: LaneResult, chosen: Tree | None) -> list[tuple[str, int]]:
    """All tokens, the largest trees and the chosen one; numbered, because many labels are equal."""
    trees = _trees(lane)
    if chosen and all(tree.survivor != chosen.survivor for tree in trees):
        trees.append(chosen)
    labels = (f"{number}: {_tree_label(tree, media)}" for number, tree in enumerate(trees, start=1))
    return [("All tokens", ALL), *zip(labels, (tree.survivor for tree in trees), strict=True)]


def _survivor_at(media: Media, lane: LaneResult, shown: Any, x: int, y: int) -> int | None:
    """The survivor of the token at pixel (x, y) of a sheet; −1 = dropped, None = no token.

    `shown` is the survivor of the sheet, which a page sent: any value stands for all tokens.
    """
    survivors = at_layer(lane.trace, FIRST).survivor.tolist()
    alone = shown != ALL and shown in survivors
    frames = frames_of(lane.trace, int(shown), FIRST) if alone else ()
    sheet = Sheet.over(media, lane.trace.layout, WIDTH, frames)
    wide, tall = sheet.size
    point = sheet.frame_at(x / wide, y / tall)
    token = token_at(lane.trace.layout, *point) if point else None
    return None if token is None else int(survivors[token])


def _tree_label(tree: Tree, media: Media) -> str:
    """ "17 tokens of 5 frames from 0.20 s"."""
    first, last = tree.span
    frames = "1 frame" if first == last else f"{len(set(tree.frames.tolist()))} frames"
    tokens = f"{len(tree)} token{'s' * (len(tree) > 1)}"
    return f"{tokens} of {frames} from {format_seconds(float(media.times[first]))}"


def _status(text: str) -> str:
    return f'<p role="status">{escape(text)}</p>'
