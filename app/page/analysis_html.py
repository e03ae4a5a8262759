"""An analysis as HTML. Escapes every text that comes from a person or a model."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.page.pictures import frame_images, lane_data, pack
from app.render.attention_data import attention_data
from app.render.measures import MEASURES, is_cell_right
from app.render.palette import lane_colours
from app.render.summary import lane_labels
from app.render.text import one_line, shorten
from models.analysis.cells import EDGES, TO_TEXT, TO_VISUAL, Edge, cells_of
from models.catalog import find
from models.engine.record import Blocked, Cell, Comparison, LaneFailure, LaneResult, Truth
from models.uploads.media import Media

SPREAD = "Attention on a survivor is drawn over its catchment, by provenance weights."
ROWS = {
    "visual": "visual tokens",
    "object": "the object's tokens",
    "text": "the question",
    "last": "the last row and the answer",
}
BLOCKING = (
    "In a cell, the rows before the arrow do not see those after it in some of the LLM's layers: "
    "press it to run every lane so. It shows how likely the lane's own answer still is, and "
    "another answer if the lane now gives one."
)
BLOCKING_FORMULA = (
    "A(source → target) = 0 in these layers, for the prompt and every answer token; "
    "× = p(answer, blocked) / p(answer, open)"
)
# A press of a cell tells the server which one.
CELL_JS = """element.addEventListener("click", (event) => {
  const cell = event.target.closest("button[data-cell]");
  if (cell) trigger("click", {cell: cell.dataset.cell});
});"""
# The box, as the browser's form has it in per cent.
OBJECT_JS = """element.addEventListener("submit", (event) => {
  event.preventDefault();
  trigger("click", {box: new FormData(event.target).get("box")});
});"""
CURSOR = (
    '<label class="cursor-layer">LLM layer <input type="range" min="0" max="0" value="0" '
    'aria-label="LLM layer of the attention maps"><output></output></label>'
    f'<p title="{SPREAD}">Where the answer looks. {SPREAD}</p>'
)


def heading(comparison: Comparison) -> str:
    asked = f"{comparison.question} · {find(comparison.model).title}"
    return f"<h2>Analysis: inside the model</h2><p>{escape(asked)}</p>"


def lane_figure(
    media: Media, lane: LaneResult | LaneFailure, truth: Truth | None, colour: str, title: str
) -> str:
    """A lane's answer by words and its attention map, which the browser draws; or its failure."""
    head = f'<h3 style="--lane:{colour}">{escape(title)}</h3>'
    if isinstance(lane, LaneFailure):
        return f'{head}<p class="reason">{escape(lane.reason)}</p>'
    assert lane.analysis is not None, "the job had a study"
    data = lane_data(media, lane, truth, colour)
    data |= {"title": title, "attention": attention_data(lane.analysis)}
    frames = f'<div class="frames" hidden>{frame_images(media)}</div>'
    return f'{head}<figure class="inside" data-inside="{pack(data)}">{frames}</figure>'


def waiting(title: str, colour: str, phase: str = "Waiting.") -> str:
    return f'<h3 style="--lane:{colour}">{escape(title)}</h3><p class="waiting">{phase}</p>'


def measure_text(name: str, encoder: bool) -> str:
    """Title, explanation and formula of a chart, and the line for the values at the cursor."""
    measure = MEASURES[name]
    title = measure.title + (", encoder" if encoder else "")
    return (
        f"<h3>{escape(title)}</h3><p>{escape(measure.text)}</p>"
        f"<details><summary>Formula</summary><p>{escape(measure.formula)}</p></details>"
        f'<output data-measure="{name}" data-part="{"encoder" if encoder else "llm"}"></output>'
    )


def object_form(comparison: Comparison, box: Sequence[float] | None) -> str:
    """Where the object is: drawn on a picture or typed."""
    value = ", ".join(f"{100 * edge:.0f}" for edge in box) if box else ""
    where = " of the last frame" if comparison.media.kind == "video" else ""
    text = "The object's box:" if box else "Object-Centric Cohesion needs the object:"
    return (
        f'<form class="object"><span>{text}</span>'
        '<button type="button" class="draw" aria-pressed="false">Drag a box</button>'
        f'<label>or in %{where}: <input name="box" value="{value}" '
        'placeholder="left, top, right, bottom" size="16"></label>'
        '<button type="submit">Measure</button></form>'
    )


def blocking(
    comparison: Comparison, num_layers: int, object_known: bool, running: Cell | None = None
) -> str:
    """The tables of blocked cells, by quarters and by a sliding window; and the cell that runs."""
    quarters, windows = (_layers_of(cells) for cells in (cells_of(num_layers), sliding(num_layers)))
    state = comparison, object_known, running
    further = set(windows) - set(quarters)
    ran = {running.layers} if running else set()
    for lane in comparison.lanes:
        if isinstance(lane, LaneResult) and lane.analysis is not None:
            ran |= {one.cell.layers for one in lane.analysis.blocked}
    first, last = windows[0]
    return (
        f"<h3>Blocked attention</h3><p>{BLOCKING}</p>"
        f"<details><summary>Formula</summary><p>{escape(BLOCKING_FORMULA)}</p></details>"
        f"{_grid(*state, quarters)}"
        f"<details{' open' if further & ran else ''}>"
        f"<summary>A window of {last - first} layers, moved by one</summary>"
        f"{_grid(*state, windows)}</details>"
    )


def find_cell(num_layers: int, object_known: bool, name: str) -> Cell | None:
    """The cell of a button, if one of the tables has it."""
    edges = _edges(object_known)
    cells = [*cells_of(num_layers, edges=edges), *sliding(num_layers, edges)]
    return next((cell for cell in cells if cell_name(cell) == name), None)


def sliding(num_layers: int, edges: Sequence[Edge] = TO_VISUAL) -> tuple[Cell, ...]:
    """The cells of a window as long as a quarter of the LLM's depth."""
    return cells_of(num_layers, max(1, num_layers // 4), edges)


def _edges(object_known: bool) -> tuple[Edge, ...]:
    return EDGES if object_known else (*TO_VISUAL, *TO_TEXT)


def _layers_of(cells: tuple[Cell, ...]) -> list[tuple[int, int]]:
    return list(dict.fromkeys(cell.layers for cell in cells))


def _grid(
    comparison: Comparison,
    object_known: bool,
    running: Cell | None,
    columns: list[tuple[int, int]],
) -> str:
    """A table with a column for each range of layers."""
    heads = "".join(f'<th scope="col">{_layers(layers)}</th>' for layers in columns)
    rows = ""
    for source, target in _edges(object_known):
        own = [Cell(source, layers, target) for layers in columns]
        filled = "".join(f"<td>{_cell(comparison, cell, cell == running)}</td>" for cell in own)
        rows += f'<tr><th scope="row">{_edge_text(own[0])}</th>{filled}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Blocked attention"><table>'
        f'<thead><tr><th scope="col">Blocked edges</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def cell_name(cell: Cell) -> str:
    """As a button has it."""
    return f"{cell.source} {cell.target} {cell.layers[0]} {cell.layers[1]}"


def _edge_text(cell: Cell) -> str:
    source = ROWS[cell.source]
    return f"{source[0].upper()}{source[1:]} → {ROWS[cell.target]}"


def _layers(layers: tuple[int, int]) -> str:
    first, last = layers[0], layers[1] - 1
    return f"Layer {first}" if first == last else f"Layers {first}–{last}"


def _cell(comparison: Comparison, cell: Cell, running: bool) -> str:
    """A line for each lane that has it; a button as long as one lacks it."""
    colours = lane_colours([lane.method for lane in comparison.lanes])
    lines, missing = "", False
    for lane, title, colour in zip(comparison.lanes, lane_labels(comparison), colours, strict=True):
        if isinstance(lane, LaneFailure) or lane.analysis is None:
            continue
        found = next((one for one in lane.analysis.blocked if one.cell == cell), None)
        missing |= found is None
        if found is not None:
            lines += _line(comparison, lane, found, title, colour)
    button = ""
    if running:
        button = '<span class="running" role="status">Running</span>'
    elif missing:
        words = f"{_edge_text(cell)}, {_layers(cell.layers).lower()}"
        button = (
            f'<button type="button" data-cell="{cell_name(cell)}" '
            f'aria-label="Block: {words}">Run</button>'
        )
    return f"<ul>{lines}</ul>{button}" if lines else button


def _line(
    comparison: Comparison, lane: LaneResult, blocked: Blocked, title: str, colour: str
) -> str:
    """How likely the lane's answer still is, the verdict, and the answer if it is another."""
    right = is_cell_right(comparison, lane, blocked)
    sign = {True: ' <i class="right">✓</i>', False: ' <i class="wrong">✗</i>', None: ""}[right]
    answer = one_line(blocked.answer)
    other = "" if answer == one_line(lane.answer) else f"<q>{escape(shorten(answer, 40))}</q>"
    ratio = f"× {blocked.probability_ratio:.2g}"
    about = f"{title}: {ratio} as likely; answers “{answer}”"
    shown = f"<b>{ratio}</b>{sign} <small>{escape(title)}</small>{other}"
    return f'<li style="--lane:{colour}" title="{escape(about)}">{shown}</li>'
