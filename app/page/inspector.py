"""Inspect: one lane of a clip, one survivor, and every token that was merged into it."""

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
from app.page.held import Held, held
from app.page.inputs import ChoiceInput
from app.render.forest import Tree, largest_trees, token_at
from app.render.overlay import legend
from app.render.overlay_clip import overlay_clip
from app.render.palette import at_layer
from app.render.sheet import Sheet
from app.render.strip import seconds, strip
from app.render.summary import lane_labels
from app.render.tree import tree, tree_words
from models.engine.record import Comparison, LaneResult
from models.uploads.media import Media

WIDTH = 720  # page pixels that a sheet of frames is laid out for: eight in two rows
FIRST = 0  # LLM layer: trees are as the LLM gets them, though it may drop them later
ALL = -1  # in place of a survivor: the fates of all tokens
SAVE = "Download overlay clip"
GONE = "That token was dropped before the LLM: nothing of it is left. Choose another."
HINT = "Click a token to see what it went into."
UNSEEN = "The picture could not be written, as when the server's disk is full. Try again later."
FORMAT = "jpeg"
log = logging.getLogger(__name__)

Update = dict[Any, Any]


def in_words(choose: Callable[..., Update]) -> Callable[..., Update]:
    """Says a refusal where the words are: of what has no queue Gradio's page shows none."""

    @wraps(choose)
    def chosen(self: Inspector, *asked: Any) -> Update:
        try:
            return choose(self, *asked)
        except gr.Error as error:
            return {self.words: said(str(error.message))}

    return chosen


@dataclass(frozen=True)
class Inspector:
    """The part's components."""

    part: gr.Column
    lane: ChoiceInput
    survivor: ChoiceInput
    picture: gr.Image
    words: gr.HTML
    save: gr.Button
    file: gr.DownloadButton

    @property
    def shown(self) -> list[Any]:
        return [self.part, self.lane, self.survivor, self.picture, self.words]

    def open(self, comparison: Comparison) -> Update:
        """The first lane that merged something, and its largest tree; nothing for a picture."""
        ran = lanes_of(comparison)
        if comparison.media.kind != "video" or not ran:
            return dict.fromkeys(self.shown, None) | {self.part: gr.Column(visible=False)}
        first = next((index for index, lane in ran if trees_of(lane, 1)), ran[-1][0])
        labels = lane_labels(comparison)
        return {
            self.part: gr.Column(visible=True),
            self.lane: gr.Dropdown([(labels[index], index) for index, _ in ran], value=first),
            **self._lane(comparison, first),
        }

    @in_words
    def choose_lane(self, index: int, kept: Held | None) -> Update:
        return self._lane(held(kept), index)

    def _lane(self, comparison: Comparison, index: int) -> Update:
        lane = lane_at(comparison, index)
        trees = trees_of(lane)
        choices = [("All tokens", ALL)]
        choices += [
            (f"{place}: {tree_label(one, comparison.media)}", one.survivor)
            for place, one in enumerate(trees, start=1)  # many are alike in all else
        ]
        chosen = trees[0].survivor if trees else ALL
        return {self.survivor: gr.Dropdown(choices, value=chosen)} | self._view(
            comparison.media, lane, chosen
        )

    @in_words
    def choose_survivor(self, survivor: int, index: int, kept: Held | None) -> Update:
        comparison = held(kept)
        lane = lane_at(comparison, index)
        if survivor != ALL and survivor not in survivors_of(lane):
            raise refusal(f"The lane has no survivor {survivor!r:.40}. Choose one of the list.")
        return self._view(comparison.media, lane, survivor)

    @in_words
    def choose_token(self, index: int, kept: Held | None, event: gr.SelectData) -> Update:
        """The tree of whatever token was clicked, though it be small and not on the list."""
        comparison = held(kept)
        media, lane = comparison.media, lane_at(comparison, index)
        survivor = survivor_at(media, lane, *event.index)
        if survivor is None:
            return {self.words: said(HINT)}
        if survivor < 0:
            return {self.words: said(GONE)}
        listed = any(one.survivor == survivor for one in trees_of(lane))
        chosen = {self.survivor: survivor if listed else None}
        return chosen | self._view(media, lane, survivor)

    def keep(self, index: int, kept: Held | None) -> Iterator[Update]:
        """Write the clip when it is asked for."""
        comparison = held(kept)
        lane = lane_at(comparison, index)

        def write(folder: Path) -> Path:
            path = folder / f"overlay-{lane.method}.mp4"
            overlay_clip(comparison.media, lane.trace, path)
            return path

        yield from download(self.save, self.file, write, preparing="Preparing the clip")

    def _view(self, media: Media, lane: LaneResult, survivor: int) -> Update:
        if survivor == ALL:
            drawn, words = strip(media, lane.trace, width=WIDTH), legend(lane.trace)
        else:
            drawn = tree(media, lane.trace, survivor, width=WIDTH, layer=FIRST)
            words = tree_words(media, lane.trace, survivor, FIRST)
            left = int(lane.trace.left_at[survivor])
            if left < lane.trace.num_layers:
                words += f"; it was dropped before LLM layer {left}"
        path = self._written(drawn)
        return {
            self.picture: gr.Image(path, alt_text=f"{lane.title}: {words}"),
            self.words: said(f"{words}. {HINT if path else UNSEEN}"),
        }

    def _written(self, drawn: Image.Image) -> str | None:
        """A picture where Gradio serves it from; None where the disk is full.

        Gradio would write it once the handler has ended, and a whole comparison would go with it.
        """
        try:
            return save_picture(drawn, FORMAT)
        except OSError as error:
            log.error("picture not written", exc_info=error)
            return None


def declare() -> Inspector:
    """Lay the part out; it opens with the first clip."""
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


def lanes_of(comparison: Comparison) -> list[tuple[int, LaneResult]]:
    """The lanes that ran, each with its place."""
    lanes = enumerate(comparison.lanes)
    return [(index, lane) for index, lane in lanes if isinstance(lane, LaneResult)]


def lane_at(comparison: Comparison, index: int) -> LaneResult:
    """The lane at a place, as a page sends it: any value may come."""
    for place, lane in lanes_of(comparison):
        if place == index:
            return lane
    raise refusal(f"There is no lane {index!r:.40} to inspect. Choose one of the list.")


def survivors_of(lane: LaneResult) -> list[int]:
    return [one for one in set(at_layer(lane.trace, FIRST).survivor.tolist()) if one >= 0]


def trees_of(lane: LaneResult, most: int = 12) -> list[Tree]:
    return largest_trees(lane.trace, most, FIRST)


def survivor_at(media: Media, lane: LaneResult, x: int, y: int) -> int | None:
    """What stands for the token under pixel (x, y) of a sheet: −1 = dropped, None = no token."""
    sheet = Sheet.over(media, lane.trace.layout, WIDTH)
    wide, tall = sheet.size
    found = sheet.frame_at(x / wide, y / tall)
    token = token_at(lane.trace.layout, *found) if found else None
    return None if token is None else int(at_layer(lane.trace, FIRST).survivor[token])


def tree_label(one: Tree, media: Media) -> str:
    """ "17 tokens of 5 frames from 0.20 s"."""
    first, last = one.span
    frames = "1 frame" if first == last else f"{len(set(one.frames.tolist()))} frames"
    return f"{len(one)} tokens of {frames} from {seconds(float(media.times[first]))}"


def said(words: str) -> str:
    return f'<p role="status">{escape(words)}</p>'
