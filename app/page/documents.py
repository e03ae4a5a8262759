"""The Methods and Findings pages: docs/methods.md and docs/findings.md with their pictures."""

from __future__ import annotations

import base64
import mimetypes
import re
from functools import lru_cache, partial
from pathlib import PurePosixPath

import gradio as gr
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.settings import ROOT, Settings

DOCS = ROOT / "docs"
PAGES = {"Methods": "methods", "Findings": "findings"}  # heading in the navigation: name
# Where a line must not break: "< 0.001", "0.97 ± 0.01", "11 %".
GLUED = re.compile(r"(?<=[<≤≥±]) (?=\d)| (?=[±%])")
# The text arrives after the page: only then can the browser go to the place in the address.
GO_TO_PLACE = "() => document.getElementById(location.hash.slice(1))?.scrollIntoView()"


def document_view(page: gr.Blocks, name: str, settings: Settings) -> None:
    """Declare the document inside the current route of `page`.

    It is sent when the route is opened, because Gradio sends declared values to every route.
    """
    text = gr.HTML("<p>Loading.</p>", elem_classes="document", apply_default_css=False)
    loaded = page.load(
        partial(document, name, settings.github),
        None,
        text,
        show_progress="hidden",
        api_visibility="private",
        queue=False,
    )
    loaded.then(None, js=GO_TO_PLACE, api_visibility="private")


@lru_cache
def document(name: str, repository: str = "") -> str:
    """A page of docs/ as HTML, with its pictures in it."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse((DOCS / f"{name}.md").read_text(encoding="utf-8"))
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _data(str(child.attrs["src"]))
            elif child.type == "link_open":
                _relink(child, repository)
            elif child.type == "text":
                child.content = GLUED.sub("\u00a0", child.content)
    html = parser.renderer.render(tokens, parser.options, {})
    # A wide table scrolls by itself, and by the keyboard.
    region = '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'
    return html.replace("<table>", region).replace("</table>", "</table></div>")


def _data(name: str) -> str:
    """A picture of docs/ as an address that holds its data."""
    kind, _ = mimetypes.guess_type(name)
    data = base64.b64encode((DOCS / name).read_bytes()).decode()
    return f"data:{kind};base64,{data}"


def _relink(link: Token, repository: str) -> None:
    """Let a link between documents lead to a route, or to the repository if that is known."""
    target, _, place = str(link.attrs["href"]).partition("#")
    if not target or "://" in target:
        return
    path = PurePosixPath("docs", target)
    if path.stem in PAGES.values():
        link.attrs["href"] = path.stem + (f"#{place}" if place else "")
    elif repository:
        parts = [part for part in path.parts if part != ".."]
        inside = parts[1:] if ".." in path.parts else parts  # docs/../models is models
        link.attrs["href"] = f"{repository.rstrip('/')}/blob/main/{'/'.join(inside)}"
    else:
        del link.attrs["href"]
