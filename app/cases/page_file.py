"""Chosen cases as one HTML file that opens without a server: pictures, answers, verdicts."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from app.cases.filters import Table
from app.cases.record import Case
from app.render.palette import lane_colours
from app.render.sweep_sheet import lane_picture
from models.engine.record import Comparison, LaneResult

SIDE = 360  # pixels of a picture
QUALITY = 70
MOST_MB = 30
FATES = {
    "object_kept": "kept",
    "object_merged": "merged",
    "object_dropped": "dropped",
    "on_object": "survivor on the object",
}
MARKS = {True: "✓ right", False: "✗ wrong", None: "not scored"}
STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:1rem auto;max-width:1200px;padding:0 1rem}
article{border-top:1px solid #999;padding:.5rem 0}article:target{outline:3px solid #0077bb}
.lanes{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:270px}
img{max-width:100%;height:auto;display:block}figcaption{overflow-wrap:anywhere}
.wrong{color:#b00020}.right{color:#00664f}h2{font-size:1rem;margin:.3rem 0}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}.wrong{color:#ff8a8a}
.right{color:#6fd6b8}}
"""
SCRIPT = """
const cases=[...document.querySelectorAll('article')];let at=-1;
addEventListener('keydown',e=>{if(e.target.matches('input'))return;
const step={ArrowRight:1,ArrowLeft:-1}[e.key];if(!step)return;
const shown=cases.filter(c=>!c.hidden);at=Math.min(Math.max(at+step,0),shown.length-1);
if(shown[at])location.hash=shown[at].id});
document.querySelector('input').addEventListener('input',e=>{
const text=e.target.value.toLowerCase();let n=0;
for(const c of cases){c.hidden=!c.textContent.toLowerCase().includes(text);n+=!c.hidden}
document.querySelector('output').textContent=n+' cases'});
"""


def write_page(table: Table, chosen: Sequence[str], path: Path) -> None:
    """Raises `ValueError` where the file would be larger than `MOST_MB`."""
    size, most = 0, MOST_MB * 1_000_000
    with path.open("w", encoding="utf-8") as file:
        for part in _page(table, chosen):
            size += len(part.encode())
            if size > most:
                raise ValueError(
                    f"The page of {len(chosen):,} cases is larger than {MOST_MB} MB; "
                    "choose fewer cases, or export recordings."
                )
            file.write(part)


def _page(table: Table, chosen: Sequence[str]) -> Iterator[str]:
    title = f"{escape(table.run.name)}: {len(chosen):,} cases"
    model = escape(table.run.about["model"] or "imported answers")
    failures = table.figure("failure").loc[list(chosen)].notna().sum()
    failed = ", ".join(f"{lane} on {count:,}" for lane, count in failures.items() if count)
    yield (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>{model}. Kept tokens show the picture as it is, merged ones the colour of their "
        "survivor, dropped ones are dimmed. The true box is dashed. "
        f"← and → go to the next case.{' Failed: ' * bool(failed)}{escape(failed)}</p>"
        '<label>Search <input type="search"></label> '
        f"<output>{len(chosen):,} cases</output>"
    )
    for number, case_id in enumerate(chosen, start=1):
        yield _case(table, table.run.cases[case_id], number)
    yield f"<script>{SCRIPT}</script></html>\n"


def _case(table: Table, case: Case, number: int) -> str:
    try:
        drawn, note = dict(_pictures(*table.run.open(case.id))), ""
    except ValueError as error:
        drawn, note = {}, str(error)
    about, true = table.cases.loc[case.id], escape(case.truth_text) or "–"
    facts = " · ".join(filter(None, (case.kind, about.verdict, *about.tags, about.note, note)))
    lanes = (_lane(table, case, lane, drawn.get(lane, "")) for lane in table.lanes_of(case.id))
    return (
        f'<article id="{escape(case.id)}"><h2>{number}. {escape(case.question)}</h2>'
        f"<p>True answer: {true}{' · ' if facts else ''}{escape(facts)}</p>"
        f'<div class="lanes">{"".join(lanes)}</div></article>'
    )


def _lane(table: Table, case: Case, lane: str, picture: str) -> str:
    def figure(name: str) -> object:
        value = table.figure(name).at[case.id, lane]
        return None if value is None or value != value else value

    right, iou, why = figure("right"), figure("iou"), figure("reason")
    known = None if right is None else bool(right)
    mark = MARKS[known] + (f", IoU {iou:.2f}" if iou is not None else "")
    kind = {True: "right", False: "wrong", None: ""}[known]
    answer = figure("answer") if figure("failure") is None else f"Failed: {figure('failure')}"
    reason = f"<br>{escape(str(why))}" if why else ""
    shares = {text: figure(name) for name, text in FATES.items()}
    fates = [f"{text} {share:.0%}" for text, share in shares.items() if share is not None]
    tokens = f"<br>Object's tokens: {', '.join(fates)}" if fates else ""
    return (
        f"<figure>{picture}<figcaption><b>{escape(lane)}</b> "
        f'<span class="{kind}">{mark}</span><br>{escape(str(answer or "–"))}{reason}'
        f"{tokens}"
        "</figcaption></figure>"
    )


def _pictures(names: Sequence[str], comparison: Comparison) -> Iterator[tuple[str, str]]:
    """By the name of each lane, its tokens on the last frame, with its boxes, as an element."""
    colours = lane_colours([lane.method for lane in comparison.lanes])
    for name, lane, colour in zip(names, comparison.lanes, colours, strict=True):
        if isinstance(lane, LaneResult):
            drawn = lane_picture(comparison.media, lane, comparison.truth, colour, SIDE)
            yield name, _element(drawn, f"tokens and boxes of {name}")


def _element(picture: Image.Image, text: str) -> str:
    picture = picture.convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY)
    coded = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(text)}" src="data:image/webp;base64,{coded}">'
