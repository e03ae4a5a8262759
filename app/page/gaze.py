"""The pad on which a person clicks where they look; its value is the gaze of the request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from models.engine.checks import MAX_GAZE
from pruning.errors import ExplainedError
from pruning.methods import create

# The marks are made of the value, which is that of `app.request.Request.gaze`. A click is x,y, or
# x,y,1 of a recording, and has a number; a point of the mouse's trail is x,y,seconds and a dot.
POINTS = '(value || "").split(" ").filter(Boolean).map((one) => one.split(","))'
CLICKS, TRAIL = (f"{POINTS}.filter((one) => Number(one[2] ?? 1) {is_} 1)" for is_ in ("==", "!="))
PLACE = """'style="left:' + 100 * one[0] + "%;top:" + 100 * one[1] + '%"'"""
ASK = (
    "Click on the picture, or move the mouse over it while you type the question. "
    "GazeVLM keeps most tokens there."
)
TEMPLATE = f"""<div class="gaze-top"><span>Where do you look?</span>
<button type="button" ${{value ? "" : "disabled"}}>Clear</button></div>
<div class="gaze-pad" tabindex="0" role="group"
 aria-label="The picture. Click where you look, or move with the arrow keys and press Space.">
<b></b>${{{TRAIL}.map((one) => '<i class="trail" ' + {PLACE} + "></i>").join("")}}
${{{CLICKS}.map((one, index) => "<i " + {PLACE} + ">" + (index + 1) + "</i>").join("")}}</div>
<p role="status">${{[
  {CLICKS}.length + " points of gaze",
  {TRAIL}.reduce((sum, one) => sum + Number(one[2]), 0).toFixed(1) + " s of the mouse",
].filter((part) => parseFloat(part)).join(" and ").replace(/^1 points/, "1 point")
  .replace(/$/, ": most tokens go there.").replace(/^:.*/, "{ASK}")}}</p>"""
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
const placeOn = (pad, event) => {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};
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
  add(...placeOn(pad, event));
});
// The trail: while a person types the question, a tenth of a second goes to where the mouse is.
let mouse = null;
element.addEventListener("pointermove", (event) => {
  const pad = event.pointerType === "mouse" && event.target.closest(".gaze-pad");
  mouse = pad ? placeOn(pad, event).map((share) => clamp(share).toFixed(3)) : null;
});
element.addEventListener("pointerleave", () => { mouse = null; });
const timer = setInterval(() => {
  if (!element.isConnected) return clearInterval(timer);
  if (!mouse || !document.activeElement?.closest("#question")) return;
  const points = (props.value || "").split(" ").filter(Boolean);
  const last = points.at(-1)?.split(",") ?? [];
  const stays = last.length > 2 && last[0] === mouse[0] && last[1] === mouse[1];
  if (stays) points.pop();
  else if (points.length >= MOST) return;
  const seconds = stays ? Number(last[2]) + 0.1 : 0.1;
  props.value = [...points, [...mouse, seconds.toFixed(1)].join(",")].join(" ");
}, 100);
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
});""".replace("MOST", str(MAX_GAZE))


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
