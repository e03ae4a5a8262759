"""A plot of a Vega-Lite specification that is a plain dict."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData


class Chart(gr.Plot):
    """`gr.Plot` for a dict: Gradio itself takes objects of plotting libraries only."""

    is_template = True  # keeps the stock front end

    def postprocess(self, value: dict[str, Any] | None) -> PlotData | None:
        return None if value is None else PlotData(type="altair", plot=json.dumps(value))
