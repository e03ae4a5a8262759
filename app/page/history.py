"""The comparisons of this tab: addresses that the page keeps, and thumbnails that open each."""

from __future__ import annotations

from html import escape

from app.page.held import ComparisonStore, HeldComparison
from app.render.headline import headline, is_right
from app.render.summary import lane_rows
from models.engine.record import Comparison

MOST = 20
MARKS = {True: ("right", "✓"), False: ("wrong", "✗"), None: ("unknown", "·")}
# A click tells the server which comparison to open.
JS = """element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-address]");
  if (button) trigger("click", {address: button.dataset.address});
});"""


def remember(past: object, store: ComparisonStore, newest: str = "") -> list[HeldComparison]:
    """The comparisons that are still held among the addresses that a page sent, newest first."""
    sent = str(past or "")[:1000].split()
    addresses = list(dict.fromkeys([newest, *sent] if newest else sent))
    return [held for one in addresses[:MOST] if (held := store.find(one))]


def addresses(past: list[HeldComparison]) -> str:
    """As the page keeps them."""
    return " ".join(held.address for held in past)


def thumbnails(past: list[HeldComparison], shown: str) -> str:
    """A button for each comparison; `shown` is the address of the one on the board."""
    if len(past) < 2 and all(held.address == shown for held in past):
        return ""
    buttons = "".join(_button(held, held.address == shown) for held in past)
    return f'<nav aria-label="Comparisons of this tab">{buttons}</nav>'


def _button(held: HeldComparison, current: bool) -> str:
    comparison = held.comparison
    if comparison is None:  # dropped meanwhile
        return ""
    title = escape(f"{comparison.question} {headline(comparison)}".strip())
    state = ' aria-current="true"' if current else ""
    return (
        f'<button type="button" data-address="{held.address}" title="{title}" '
        f'aria-label="Show again: {title}"{state}><img src="{held.thumbnail}" alt="">'
        f"<span>{_marks(comparison)}</span></button>"
    )


def _marks(comparison: Comparison) -> str:
    marks = (MARKS[is_right(row)] for row in lane_rows(comparison))
    return "".join(f'<i class="{name}">{sign}</i>' for name, sign in marks)
