"""The line on top of every page: title, places, papers and the switch of the theme."""

from __future__ import annotations

import gradio as gr

from app.settings import Settings
from pruning.methods import METHODS

TITLE = "TokenScope"
LINE = "What visual-token compression does to a picture and to the answer"
PAPERS = ("flashvid", "nuwa")  # that the header links to; docs/methods.md has the others


def header(settings: Settings) -> None:
    """Declare the line; Gradio adds the links to the other pages."""
    gr.Navbar(main_page_name="Compare", value=links(settings))
    with gr.Row(elem_id="top", equal_height=True):
        gr.HTML(f"<h1>{TITLE}</h1><p>{LINE}</p>", elem_id="title", apply_default_css=False)
        theme = gr.Button("Light or dark", size="sm", elem_id="theme", min_width=0)
    theme.click(None, js="() => window.tokenscope.switchTheme()", api_visibility="private")


def links(settings: Settings) -> list[tuple[str, str]]:
    """(text, address) of the links that leave the page."""
    by_name = {method.name: method for method in METHODS}
    papers = [(f"{by_name[name].title} paper", by_name[name].paper) for name in PAPERS]
    return [*papers, ("GitHub", settings.github)] if settings.github else papers
