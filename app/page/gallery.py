"""The examples as thumbnails; the tooltip of each says what its comparison shows."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from app.example_uploads import THUMBS, examples_of, stories

KINDS = {
    "hold": "All methods hold.",
    "split": "Some methods hold, others fail.",
    "baseline": "A simple baseline wins.",
    "lost": "Every method fails.",
}
# A click tells the server which example to choose.
JS = """element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-index]");
  if (button) trigger("click", {index: Number(button.dataset.index)});
});"""


def gallery(kind: str) -> str:
    """A button for each example of a kind."""
    buttons = (_button(index, example) for index, example in enumerate(examples_of(kind)))
    return f'<div class="examples-grid">{"".join(buttons)}</div>'


def _button(index: int, example: dict) -> str:
    told = stories().get(example["file"], {})
    question = example.get("title") or told.get("question") or example["questions"][0]["question"]
    title = " ".join(
        filter(
            None, [question, KINDS.get(told.get("kind", "")), told.get("says"), told.get("typical")]
        )
    )
    thumb = THUMBS / f"{Path(example['file']).stem}.jpg"
    data = base64.b64encode(thumb.read_bytes()).decode() if thumb.exists() else ""
    return (
        f'<button type="button" data-index="{index}" title="{escape(title)}" '
        f'aria-label="Example: {escape(title)}"><img src="data:image/jpeg;base64,{data}" alt="">'
        "</button>"
    )
