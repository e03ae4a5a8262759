"""Text about methods: the docs, the README and the note of the page agree with the classes."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import fields
from html import escape

import pytest

from app.docs import methods_page as page
from app.docs import pages
from app.docs.answers import answers, half_width
from app.docs.marked import marks
from app.measure.bench import every_method
from app.page import lab
from app.page.notes import methods_note
from app.render.knobs import knobs, presets
from app.render.method_text import place, positions, rows
from app.render.signals import ENCODER, GUIDE, LLM, REQUEST, ROWS, signals
from app.render.tested import NOT_MEASURED, laws, parity, results
from app.request import POSITIONS
from app.settings import ROOT
from pruning.base import CompressionMethod, Needs
from pruning.description import describe
from pruning.methods import METHODS, create

each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
TESTED = results()
ANSWERED = json.loads(pages.ANSWERED[0].read_text())


@pytest.fixture(scope="module")
def docs() -> str:
    return page.markdown(TESTED, [ANSWERED], METHODS)


def test_the_generated_docs_in_the_checkout_are_what_the_classes_give() -> None:
    """A new method is not in them yet. On failure: `make docs`."""
    stored = pages.METHODS_PAGE.read_text()
    methods = [method for method in METHODS if f'<a id="{method.name}"></a>' in stored]
    for path, text in pages.texts(methods).items():
        assert path.read_text() == text, path


def test_writing_changes_one_part_of_the_readme(tmp_path, monkeypatch) -> None:
    readme, (begin, end) = tmp_path / "README.md", marks("methods")
    readme.write_text(f"before\n{begin}an old table\n{end}after\n")
    monkeypatch.setattr(pages, "README", readme)
    table = page.short_table(METHODS)
    assert pages.texts()[readme] == f"before\n{begin}{table}\n{end}after\n"


def test_every_page_is_written(tmp_path, monkeypatch) -> None:
    path = tmp_path / "docs" / "page.md"
    monkeypatch.setattr(pages, "texts", lambda: {path: "text"})
    monkeypatch.setattr(pages.findings, "draw", lambda: iter([tmp_path / "findings.md"]))
    assert list(pages.draw()) == [path, tmp_path / "findings.md"]
    assert path.read_text() == "text"


def test_a_readme_without_a_place_for_the_table_is_refused(tmp_path, monkeypatch) -> None:
    readme, (begin, end) = tmp_path / "README.md", marks("methods")
    readme.write_text(f"{end}the wrong way round{begin}\n")
    monkeypatch.setattr(pages, "README", readme)
    with pytest.raises(ValueError, match="before"):
        pages.texts()


@each_method
def test_the_docs_have_all_parts_of_a_method(method: type[CompressionMethod], docs: str) -> None:
    section = docs.partition(f'<a id="{method.name}"></a>')[2].partition('<a id="')[0]
    text = describe(method)
    assert f"## {method.title}\n" in section
    assert method.summary in section and text.idea in section and text.more in section
    assert text.where in section and text.positions in section and text.differs in section
    assert method.paper in section and method.code in section
    own = {knob.name for knob in fields(method)} - {knob.name for knob in fields(CompressionMethod)}
    assert all(f"\n| `{knob}` | " in section for knob in own)
    if len(method.PRESETS) > 1:
        assert all(f"`{method.name}:{preset}`: " in section for preset in method.PRESETS)


def test_every_link_inside_the_docs_has_a_target(docs: str) -> None:
    readme = page.short_table(METHODS)
    anchors = set(re.findall(r'<a id="(.*)"></a>', docs))
    linked = re.findall(r"\]\(#(.*?)\)", docs) + re.findall(r"\]\(docs/methods.md#(.*?)\)", readme)
    assert set(linked) == anchors == {method.name for method in METHODS}
    pictures = re.findall(r"!\[.*\]\((.*)\)", docs)
    assert len(pictures) == 2 and all((ROOT / "docs" / picture).is_file() for picture in pictures)


def test_the_docs_name_broken_laws_and_broken_parity() -> None:
    tested = deepcopy(TESTED)
    nuwa = tested["methods"]["nuwa"]
    nuwa["laws"]["test_stages_compose"] = False
    nuwa["parity"]["test_nuwa_proximity_is_the_official_one"]["passed"] = False
    docs = page.markdown(tested, [ANSWERED], METHODS)
    assert "| Laws | broken: stages compose |" in docs
    assert "broken: nuwa proximity is the official one" in docs
    assert "| stages compose | all but nuwa | nuwa |" in docs


def test_methods_are_set_beside_down_sampling_once_both_have_answers() -> None:
    def docs(pairs: list[dict[str, object]]) -> str:
        return page.markdown(TESTED, [{**ANSWERED, "against_downsampling": pairs}], METHODS)

    counts = {"questions": 10, "foil_right": 5, "method_alone": 3, "foil_alone": 1, "p": 0.6}
    pair = {"method": "nuwa", "retention_ratio": 0.333, **counts}
    assert "\nNot measured.\n" in docs([])
    both = docs([{**pair, "sort": "side"}, {**pair, "sort": "all"}])
    assert "| `nuwa` | +20.0 | +20.0 | 0.60 |" in both


def test_a_method_without_results_is_listed_as_not_measured() -> None:
    tested, answered = deepcopy(TESTED), deepcopy(ANSWERED)
    del tested["methods"]["grid"]
    answered["rows"] = [row for row in answered["rows"] if row["method"] != "grid"]
    docs = page.markdown(tested, [answered], METHODS)
    assert f"| Laws | {NOT_MEASURED} |" in docs and f"| Parity | {NOT_MEASURED} |" in docs
    assert f"| `grid` | {NOT_MEASURED} | {NOT_MEASURED} | {NOT_MEASURED} |" in docs
    assert re.search(r"Not measured: .*`grid`", docs)
    assert "`ttm` | not" not in docs, "not asked about pictures"


def report(**changes: object) -> dict:
    """Results of two methods at two ratios; one refuses the lower ratio."""
    shares = {"grounding": 0.5, "other": 0.9, "refused": ""}
    refused = {"refused": "too low", "smallest": 0.1319, "grounding": None, "other": None}
    rows = [
        {"method": "vanilla", "retention_ratio": None, **shares},
        {"method": "grid", "retention_ratio": 0.333, **shares},
        {"method": "grid", "retention_ratio": 0.111, **shares, "grounding": 0.25},
        {"method": "fastv", "retention_ratio": 0.333, **shares},
        {"method": "fastv", "retention_ratio": 0.111, **refused},
    ]
    asked = {"questions": {"grounding": 100, "other": 400}, "conditions": {"device": "CPU"}}
    named = {"model": "embedded-image", "scenes": 100, "seed": 0, "split": "plain"}
    return {**named, **asked, "rows": rows, **changes}


def test_a_method_has_a_row_of_shares_or_its_smallest_ratio() -> None:
    *_, head, _, grid, fastv = answers(report()).splitlines()
    assert head == "|  | 33.3 % | 11.1 % |"
    assert grid == "| `grid` | 0.500 · 0.900 | 0.250 · 0.900 |"
    assert fastv == "| `fastv` | 0.500 · 0.900 | from 13.2 % |"


def test_the_docs_have_the_sampling_error() -> None:
    assert half_width(0.5, 100) == pytest.approx(0.098)
    text = answers(report())
    assert "100 questions for a box, 400 others" in text and "device CPU" in text
    assert "near 0.5 is ±9.8 points for boxes and ±4.9 for the others" in text
    assert "near 0.9, ±5.9 and ±2.9" in text


def test_the_stored_answers_are_of_all_presets_of_methods_that_exist() -> None:
    """A new method has none yet. On failure: `make bench-methods docs`."""
    names = {row["method"] for row in ANSWERED["rows"]}
    methods = {name.partition(":")[0] for name in names}
    today = every_method(ANSWERED["model"])
    assert names == {name for name in today if name.partition(":")[0] in methods}


def test_a_cell_may_hold_a_bar() -> None:
    assert page.markdown_table(("a", "b"), [("1|2", "3")]).splitlines()[-1] == r"| 1\|2 | 3 |"


@each_method
def test_every_signal_of_a_method_has_a_text(method: type[CompressionMethod]) -> None:
    for preset in method.PRESETS:
        needs = create(method.name, preset).needs
        inside = LLM | GUIDE
        assert needs.encoder <= ENCODER.keys() and needs.llm <= inside.keys()
        assert all(ENCODER[name] in signals(needs) for name in needs.encoder)
        assert all(REQUEST[name] in signals(needs) for name in needs.request)
        texts = [inside[name].format(rows=ROWS[needs.llm_queries]) for name in needs.llm]
        assert all(text in signals(needs) for text in texts)


def test_signals_name_their_part_rows_and_layers() -> None:
    needs = Needs(
        encoder=frozenset({"keys"}),
        encoder_span=(0.5, 1.0),
        llm_queries="last",
        llm=frozenset({"queries"}),
        llm_rope=False,
    )
    assert signals(needs) == (
        "of the encoder: keys, hidden states from 50 % to 100 % of its depth; "
        "of the LLM: queries of the last text token, without rotary embedding"
    )
    assert signals(Needs()) == "none"


def test_places_and_positions_are_those_of_the_class_and_its_presets() -> None:
    texts = {method.name: (place(method), positions(method)) for method in METHODS}
    assert texts["vanilla"] == ("nowhere", "–")
    assert texts["random"] == ("before the LLM", "PESP")
    assert texts["fastv"] == ("inside the LLM", "PESP; in `fix`: RPME")
    assert texts["prunevid"] == ("before the LLM and inside it", "PERC · PESP")


@each_method
def test_the_note_of_the_page_has_the_text_of_the_docs(method: type[CompressionMethod]) -> None:
    note, description = methods_note([method.name]), describe(method)
    assert escape(method.summary) in note
    words = re.sub(r"</?(code|a|b)\b[^>]*>", "", note)
    lines = rows(method, TESTED["methods"])
    for text in (description.idea, description.more, *(line.text for line in lines)):
        assert escape(text.replace("`", "")) in words
    for line in lines:
        assert line.link is None or f'<a href="{line.link[1]}"' in note
    for knob in knobs(method):
        text = f"{knob.name} {knob.default} ({knob.limits}): {knob.meaning}"
        assert f"Knob {escape(text)}" in words
    assert words.count("<p>Knob ") == len(knobs(method))
    if len(method.PRESETS) > 1:
        assert f"Presets {escape(presets(method))}".replace("`", "") in words
    own = TESTED["methods"].get(method.name)
    assert f"<b>Laws</b> {laws(own)}" in note and f"<b>Parity</b> {escape(parity(own))}" in note


def test_the_lab_has_one_note_for_each_method_of_its_parts() -> None:
    lanes = [("nuwa:paper", "fastv", "rpme"), ("", "fastv", "rpme"), ("pooling", "", "published")]
    note = lab.describe(lanes)
    assert re.findall("<dt>(.*?)</dt>", note) == ["Nüwa", "FastV", "Average pooling", "RPME"]
    assert methods_note(["fastv"]).removeprefix("<dl>").removesuffix("</dl>") in note
    assert lab.describe([("", "", "published")]) == ""


def test_the_page_and_the_docs_mark_our_own_positions(docs: str) -> None:
    (affine,) = (title for title, value in POSITIONS if value == "rpme_affine")
    assert "(ours)" in affine and "RPME_AFFINE (ours)" in docs
    assert "axes of M-RoPE" in docs and "so these are ours" in docs


def test_the_note_has_a_method_once_for_all_its_presets() -> None:
    note = methods_note(["nuwa", "nuwa:paper"])
    assert note.count("<dt>Nüwa</dt>") == 1
    assert "<code>tree_mean</code>" in methods_note(["flashvid"])
    assert methods_note([]) == ""
