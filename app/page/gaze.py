"""The pad on which a person clicks where they look; its value is the gaze of the request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from pruning.errors import ExplainedError
from pruning.methods import create

# The marks are made of the value, which is that of `app.request.Request.gaze`.
TEMPLATE = """<div class="gaze-top"><span>Where do you look?</span>
<button type="button" ${value ? "" : "disabled"}>Clear</button></div>
<div class="gaze-pad" tabindex="0" role="group"
 aria-label="The picture. Click where you look, or move with the arrow keys and press Space.">
<b></b>${(value || "").split(" ").filter(Boolean).map((point, index) => {
  const [x, y] = point.split(",").map((one) => 100 * parseFloat(one));
  return '<i style="left:' + x + '%;top:' + y + '%">' + (index + 1) + "</i>";
}).join("")}</div>
<p role="status">${value ? (value.split(" ").length + " of gaze: most tokens go there.")
  .replace(/^1 of/, "1 point of").replace(/^(\\d+) of/, "$1 points of")
  : "Click on the picture. GazeVLM keeps most tokens there."}</p>"""
# The picture is that of the upload. The arrow keys move a cross over it.
JS = """const image = () => document.querySelector("#picture img");
const show = () => {
  const picture = image();
  element.classList.toggle("empty", !picture);
  if (!picture) return;
  element.style.setProperty("--picture", `url("${picture.src}")`);
  if (!picture.naturalWidth) return picture.addEventListener("load", show, {once: true});
  element.style.setProperty("--aspect", picture.naturalWidth / picture.naturalHeight);
};
const observer = new MutationObserver(() => element.isConnected ? show() : observer.disconnect());
const parts = {childList: true, subtree: true, attributes: true, attributeFilter: ["src"]};
observer.observe(document.getElementById("kind"), parts);
show();
const clamp = (share) => Math.min(Math.max(share, 0), 1);
const add = (x, y) => {
  if (!image()) return;
  props.value = `${props.value || ""} ${clamp(x).toFixed(3)},${clamp(y).toFixed(3)}`.trim();
};
const cross = {x: 0.5, y: 0.5};
element.addEventListener("click", (event) => {
  if (event.target.closest("button")) { props.value = ""; return; }
  const pad = event.target.closest(".gaze-pad");
  if (!pad) return;
  const box = pad.getBoundingClientRect();
  add((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});
element.addEventListener("keydown", (event) => {
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  if (!event.target.closest(".gaze-pad")) return;
  if (event.key === " ") add(cross.x, cross.y);
  else if (event.key in steps) {
    cross.x = clamp(cross.x + steps[event.key][0] / 20);
    cross.y = clamp(cross.y + steps[event.key][1] / 20);
    element.style.setProperty("--x", `${100 * cross.x}%`);
    element.style.setProperty("--y", `${100 * cross.y}%`);
  } else return;
  event.preventDefault();
});"""


def declare() -> gr.HTML:
    """The pad, hidden until a method needs it."""
    return gr.HTML(
        "",
        html_template=TEMPLATE,
        js_on_load=JS,
        visible=False,
        apply_default_css=False,
        elem_id="gaze",
    )


def wanted(kind: str, methods: Iterable[str]) -> bool:
    """Whether a chosen method or composed part needs to know where a person looks."""
    return kind == "image" and any(map(_needs_gaze, methods))


def shown(kind: str, methods: Iterable[str], **value: Any) -> gr.HTML:
    """The update of the pad for these methods."""
    return gr.HTML(visible=wanted(kind, methods), **value)


def _needs_gaze(name: str) -> bool:
    try:
        return "gaze" in create(name).needs.request
    except ExplainedError:  # the lane says it
        return False
