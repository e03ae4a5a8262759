"""The form: what is offered, what follows what is chosen, and what an upload may be."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest

from app import jobs
from app.guard.uploads import ClipInput, PictureInput
from app.page import choices, lab
from app.page.following import Following
from app.settings import Settings
from models.catalog import CATALOG, find
from models.grounding import FORMATS
from models.loading import config_of
from models.memory import estimate
from pruning.methods import create
from tests.app.asking import components


def following() -> Following:
    asked, _ = components()
    return Following(asked, Settings())


def values(follow: Following, kind: str, model: str, methods: list[str]) -> dict:
    """What the page sends when a tab or a model is chosen."""
    asked = follow.form
    sent = {asked.kind: kind, asked.model: model, asked.methods: methods}
    return sent | {asked.retention_ratio: 0.111}


def test_of_presets_those_that_follow_another_source_are_offered_by_the_name_of_their_lane():
    pictures, clips = map(choices.method_choices, ("embedded-image", "embedded-video"))
    offered = dict(pictures) | dict(clips)
    assert "vanilla" not in offered
    assert {name: title for name, title in offered.items() if "flashvid" in name} == {
        "flashvid": "FlashVID",
        "flashvid:official": "FlashVID, official",
    }
    assert offered["nuwa:paper"] == "Nüwa, paper" and offered["nuwa"] == "Nüwa"
    assert all(create(name).label == title for name, title in offered.items())


def test_a_method_for_video_only_is_not_offered_for_a_model_of_pictures():
    names = {name for name, _ in choices.method_choices("embedded-image")}
    assert "nuwa:paper" in names and "flashvid" not in names


def test_a_half_typed_ratio_is_no_error():
    assert "64" in choices.retention_note(0.111, "embedded-image")
    for typed in (None, 0, 7):
        assert "at most 1" in choices.retention_note(typed, "embedded-image")


def test_the_model_follows_the_tab_and_the_methods_follow_the_model():
    follow = following()
    update = follow.open_tab("video", values(follow, "image", "embedded-image", ["nuwa"]))
    assert update[follow.form.model] == "embedded-video"
    assert update[follow.form.methods].value == ["flashvid", "fastvid", "ttm"]
    offered = {name for _, name in update[follow.form.methods].choices}
    assert {"flashvid", "prunevid", "frames", "visionzip"} <= offered
    assert update[follow.form.num_frames].visible
    back = follow.open_tab("image", values(follow, "video", "embedded-video", ["ttm"]))
    assert back[follow.form.model] == "embedded-image"
    assert back[follow.form.methods].value == ["visionzip", "nuwa", "pooling"]


def test_the_tab_follows_the_model_and_then_changes_nothing():
    follow = following()
    update = follow.choose_model(values(follow, "image", "embedded-video", ["nuwa"]))
    assert update[follow.form.tabs].selected == "video"
    assert update[follow.form.methods].value == ["flashvid", "fastvid", "ttm"]
    twice = follow.choose_model(values(follow, "video", "embedded-video", ["ttm"]))
    assert twice[follow.form.methods].value == ["ttm"], "a dropdown tells of one choice twice"
    again = follow.open_tab("video", values(follow, "video", "embedded-video", ["ttm"]))
    assert again == {follow.form.kind: "video"}


def test_the_form_shows_the_token_count_where_it_is_fixed():
    assert "of 576 visual tokens," in choices.retention_note(0.5, "embedded-image")
    clip = choices.retention_note(0.125, "embedded-video")
    assert "<b>128</b> of 1,024 visual tokens (16 frames × 64)" in clip
    assert "of 512 visual tokens (8 frames" in choices.retention_note(0.1, "embedded-video", 8)
    assert "of 576 visual tokens," in choices.retention_note(0.1, "embedded-image", 16)
    assert "of 576 visual tokens," in choices.retention_note(0.5, "llava-1.5-7b@random")
    for name in ("llava-onevision-7b", "llava-video-7b", "qwen2.5-vl-7b", "qwen3-vl-8b"):
        assert "50.0 % of the visual tokens" in choices.retention_note(0.5, name)


def test_models_whose_weights_are_here_are_offered_and_of_the_others_what_fetches_them(
    tmp_path, monkeypatch
):
    for module in (choices, jobs):
        monkeypatch.setattr(module, "is_downloaded", lambda card: card.name.startswith("embedded"))
    offered = [name for _, name in choices.model_choices("embedded-image")]
    assert offered == ["embedded-image", "embedded-video"]
    note = choices.absent_note()
    assert "<code>python -m app fetch llava-1.5-7b</code>" in note
    assert "Drawn" not in note
    for module in (choices, jobs):
        monkeypatch.setattr(module, "is_downloaded", lambda card: True)
    assert choices.absent_note() == ""
    assert len(choices.model_choices("embedded-image")) == len(CATALOG)


def test_the_project_s_own_models_are_named_by_what_they_are():
    (label, _), *_ = choices.model_choices("embedded-image")
    title, size, trained = label.split(", ")
    assert (title, trained) == ("Drawn-scenes model", "trained by this project")
    counted = estimate(config_of(find("embedded-image")), 576, "float32").weights / 4e6
    assert float(size.removesuffix(" M parameters")) == pytest.approx(counted, abs=0.05)


def test_the_model_that_is_set_is_offered_whether_its_weights_are_here_or_not(monkeypatch):
    for module in (choices, jobs):
        monkeypatch.setattr(module, "is_downloaded", lambda card: card.name.startswith("embedded"))
    for name, title in (
        ("llava-1.5-7b", "LLaVA-1.5 7B"),
        ("llava-1.5-7b@random", "LLaVA-1.5 7B (random weights)"),
    ):
        *_, last = choices.model_choices(name)
        assert last == (title, name)


def test_of_a_model_with_random_weights_the_form_says_that_its_answers_are_noise():
    assert "its answers are noise" in choices.answers_note("llava-1.5-7b@random")


def test_the_form_says_how_a_model_writes_a_box():
    for name in ("embedded-image", "llava-onevision-7b"):
        assert FORMATS[find(name).grounding].written in choices.answers_note(name)


@pytest.mark.parametrize("upload", [PictureInput, ClipInput])
def test_an_upload_never_comes_from_an_address(upload):
    with pytest.raises(gr.Error, match="web address"):
        asyncio.run(upload().async_move_resource_to_block_cache("http://host.test/x.png"))


def test_parts_are_offered_where_they_act_and_for_what_they_take():
    before, inner = (dict(choices.part_choices(place, "image")) for place in ("before", "inner"))
    assert before["Nüwa, paper"] == "nuwa:paper" and inner["SparseVLM, plus"] == "sparsevlm:plus"
    assert "FastV" not in before and "VisionZip" not in inner and "FlashVID" not in before
    assert "VisionZip, fix" not in before, "it numbers otherwise, which is chosen beside"
    assert {"FlashVID", "Fewer frames"} <= set(dict(choices.part_choices("before", "video")))


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("lanes", [1, 3, 5])
def test_what_the_lab_suggests_is_on_offer_and_can_be_made(kind, lanes):
    suggested = lab.suggested(kind, lanes)
    for parts in suggested:
        for value, offers in zip(parts, lab.choices(kind), strict=True):
            assert value in dict((name, title) for title, name in offers)
    methods = [create(name) for name in lab.composed_names(suggested)]
    assert len(methods) == min(lanes, 3) and all(kind in method.media for method in methods)


def test_a_lane_of_the_lab_is_named_by_its_parts_and_an_empty_lane_is_left_out():
    lanes = [("nuwa", "fastv", "published"), ("", "", "rpme"), ("", "nuwa:paper", "rpme")]
    assert lab.composed_names(lanes) == ["nuwa.before+fastv.inner", "nuwa:paper.inner+rpme"]


def test_a_lane_of_the_lab_takes_any_number_of_typed_stages_inside_the_llm():
    lanes = [("nuwa", "dart@2 + fastv:fix@12+feather@20", "pesp"), ("", "fastv@x", "published")]
    mixed, wrong = lab.composed_names(lanes)
    assert mixed == "nuwa.before+dart.inner@2+fastv:fix.inner@12+feather.inner@20+pesp"
    label = "Nüwa before + DART inside at 2 + FastV fix inside at 12 + FEATHER inside at 20, PESP"
    assert create(mixed).label == label
    with pytest.raises(ValueError, match=r"Unknown part 'fastv\.inner@x'"):
        create(wrong)
    note = lab.describe([*lanes, ("", "<b>", "published")])
    assert all(f"<dt>{title}</dt>" in note for title in ("Nüwa", "DART", "FastV", "FEATHER"))
    assert lab.describe([lab.EMPTY]) == "" and "<b>" not in lab.describe([("", "<b>", "pesp")])


def test_the_lab_follows_the_kind_of_upload_and_its_tab_hides_the_notes_on_methods():
    follow = following()
    update = follow.open_tab("video", values(follow, "image", "embedded-image", ["nuwa"]))
    lanes = [tuple(update[part].value for part in lane) for lane in follow.form.lab.lanes]
    assert lanes == lab.suggested("video", 3)
    opened = follow.open_way("lab")
    assert opened[follow.form.way] == "lab" and not opened[follow.form.methods_note].visible
    assert opened[follow.form.lab.note].visible
    back = follow.open_way("methods")
    assert back[follow.form.methods_note].visible and not back[follow.form.lab.note].visible


def test_what_the_lab_says_of_its_parts_follows_them_and_the_kind_of_upload():
    follow = following()
    note = follow.form.lab.note
    assert "<dt>FastV</dt>" in note.value and "<dt>PERC</dt>" not in note.value
    parts = ["pooling", "", "perc", *lab.EMPTY, *lab.EMPTY]
    sent = values(follow, "image", "embedded-image", ["nuwa"])
    chosen = follow.choose_part(sent | dict(zip(follow.form.lab.selectors, parts, strict=True)))
    assert "<dt>Average pooling</dt>" in chosen[note] and "<dt>FastV</dt>" not in chosen[note]
    assert "re-indexed contiguously" in chosen[note]
    moved = follow.open_tab("video", values(follow, "image", "embedded-image", ["nuwa"]))
    assert "<dt>FlashVID</dt>" in moved[note] and note in follow.outputs()


def test_gaze_is_asked_for_when_a_method_or_a_part_of_the_lab_needs_it():
    follow = following()
    pad, sent = follow.form.gaze, values(follow, "image", "embedded-image", ["nuwa"])
    for methods, needed in ((["nuwa", "gazevlm"], True), (["nuwa"], False)):
        assert follow.choose_model(sent | {follow.form.methods: methods})[pad].visible is needed
    parts = ["gazevlm", "fastv", "published", *lab.EMPTY, *lab.EMPTY]
    parts_sent = dict(zip(follow.form.lab.selectors, parts, strict=True))
    assert follow.choose_part(sent | parts_sent)[pad].visible
    moved = follow.open_tab("video", sent | {follow.form.methods: ["gazevlm"]})
    assert not moved[pad].visible


def test_gaze_is_sent_only_with_a_method_that_needs_it():
    asked = following().form
    sent = {part: None for part in asked.values()} | {asked.kind: "image", asked.way: "methods"}
    sent[asked.gaze] = "0.2,0.3"
    for methods, gaze in ((["gazevlm"], "0.2,0.3"), (["nuwa"], "")):
        assert asked.request(sent | {asked.methods: methods}).gaze == gaze


def test_every_method_and_preset_on_offer_has_a_sentence_of_its_own():
    offered = {name for card in CATALOG for name, _ in choices.method_choices(card.name)}
    assert offered >= choices.PRESETS.keys()
    says = [choices.describe_choice(name) for name in offered]
    assert all(one.endswith(".") and "=" not in one for one in says) and len(set(says)) == len(says)
