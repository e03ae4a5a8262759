"""Parts of methods put together: by name, with whose signals, numbers and counts."""

from __future__ import annotations

import json
from itertools import product

import pytest
import torch

from pruning.base import CompressionMethod, Positions, PositionStrategy, Seam
from pruning.budget import BudgetError
from pruning.methods import METHODS, create
from pruning.ops.grid import of_anchors
from pruning.tokens import LayerView, TokenLayout

BEFORE = [method for method in METHODS if method.acts("before")]
INNER = [method for method in METHODS if method.acts("inner")]


def test_the_order_of_parts_does_not_matter() -> None:
    one, other = "nuwa:paper.before+fastv.inner+rpme", " rpme + fastv.inner+nuwa:paper.before"
    assert create(one, retention_ratio=0.3) == create(other, retention_ratio=0.3)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("nuwa.before+fastv.inner+rpme", "Nüwa before + FastV inside, RPME"),
        ("nuwa:paper.before+sparsevlm:plus.inner", "Nüwa paper before + SparseVLM plus inside"),
        ("flashvid:qwen2.5-vl.before", "FlashVID qwen2.5-vl before"),
        ("fastv.inner+rpme_affine", "FastV inside, RPME affine"),
        ("dart.inner@2+fastv:fix.inner@12+perc", "DART inside at 2 + FastV fix inside at 12, PERC"),
    ],
)
def test_a_composed_method_has_a_name_that_creates_it_and_a_title(name, title) -> None:
    method = create(name, retention_ratio=0.3)
    assert method.name == name and method.label == title
    assert create(method.name, retention_ratio=0.3) == method


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "fastv.before",
            r"Unknown before-LLM part 'fastv'\. Choose one of downsample, flashvid, nuwa, vis",
        ),
        (
            "pooling.inner",
            r"Unknown inner-LLM part 'pooling'\. Choose one of flashvid, nuwa, vs",
        ),
        ("vanilla.before", r"Unknown before-LLM part 'vanilla'"),
        ("zip.before+fastv.inner", r"Unknown before-LLM part 'zip'"),
        ("nuwa:x.before", r"Unknown Nüwa preset 'x'"),
        (
            "nuwa+fastv",
            r"Unknown part 'nuwa'\. Wanted .* or fastv\.inner@2, .*: perc, ",
        ),
        ("nuwa.before+", r"Unknown part ''"),
        ("nuwa.before+grid.before", r"Two before-LLM parts came in 'nuwa\.before\+grid\.before'"),
        ("perc+nuwa.before+pesp", r"Two position strategies came"),
        ("perc+", r"Unknown part ''"),
        (
            "fastv.inner@x",
            r"Unknown part 'fastv\.inner@x'\. Wanted .* fastv\.inner@2, or pos",
        ),
        ("nuwa.before@2", r"Unknown part 'nuwa\.before@2'"),
        ("fastv.inner+dart.inner@2", r"name a layer for every inner-LLM part, or for none"),
        ("fastv.inner@2+dart.inner@2", r"Two parts at layer 2 came"),
        ("fastv.inner@2+dart.inner@40", r"layers are 2, 40, wanted different ones from 1 to 31"),
    ],
)
def test_an_invalid_composition_is_refused_with_the_choices(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        create(name)


def test_a_strategy_without_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="Two position strategies"):
        create("perc+perc")
    with pytest.raises(ValueError, match="wants a before-LLM or an inner-LLM part"):
        type(create("nuwa.before"))(numbering="perc")


def test_a_method_is_refused_as_a_part_where_it_does_not_act() -> None:
    composed = type(create("nuwa.before"))
    with pytest.raises(ValueError, match="FastV has no before-LLM part"):
        composed(before=create("fastv"))
    with pytest.raises(ValueError, match="VisionZip has no inner-LLM part"):
        composed(inner=create("visionzip"))


def test_each_part_gets_the_signals_of_its_own_method_and_no_others() -> None:
    needs = create("nuwa.before+feather.inner").needs
    nuwa, feather = create("nuwa").needs, create("feather").needs
    assert (needs.encoder, needs.encoder_span) == (nuwa.encoder, nuwa.encoder_span)
    assert (needs.llm, needs.llm_queries, needs.llm_rope) == (feather.llm, "last", False)
    assert create("nuwa.before").needs.llm == frozenset()
    assert create("nuwa.inner").needs.encoder == frozenset()


def test_the_seam_is_that_of_the_first_part_and_media_those_of_both() -> None:
    assert create("pooling.before+nuwa.inner").seam is Seam.PROJECTED
    assert create("nuwa.before+flashvid.inner").seam is Seam.ENCODED
    assert create("nuwa.before+fastv.inner").media == {"image", "video"}
    assert create("nuwa.before+flashvid.inner").media == {"video"}


def test_each_place_is_numbered_as_published_unless_a_strategy_is_named() -> None:
    perc, pesp, rpme = PositionStrategy.PERC, PositionStrategy.PESP, PositionStrategy.RPME
    name = "visionzip.before+fastv:fix.inner"
    assert create(name).positions == Positions(before=perc, inner=rpme)
    assert create(f"{name}+pesp").positions == Positions(before=pesp, inner=pesp)
    assert create(f"{name}+pesp", numbering="rpme").positions.before is rpme


def test_a_record_of_its_knobs_is_json_and_has_one_ratio() -> None:
    knobs = create("nuwa:paper.before+fastv.inner+rpme", retention_ratio=0.2).knobs
    assert json.loads(json.dumps(knobs)) == knobs
    assert knobs["retention_ratio"] == 0.2 and knobs["numbering"] == "rpme"
    assert knobs["before"]["reach"] == 0.26 and "retention_ratio" not in knobs["before"]
    assert knobs["inner"] == {"numbering": "published", "layer": 2}
    assert "before" not in create("fastv.inner").knobs


def test_each_stage_of_a_mixture_has_the_signals_and_positions_of_its_method() -> None:
    name = "visionzip.before+fastv:fix.inner@12+pyramiddrop.inner@20"
    mixed, numbered = create(name), create(f"{name}+pesp")
    assert mixed.at(0).needs == create("fastv").needs and mixed.at(1).needs.llm == {"ahead"}
    assert [mixed.at(stage).positions.inner.value for stage in (0, 1)] == ["rpme", "perc"]
    assert [numbered.at(stage).positions.inner.value for stage in (0, 1)] == ["pesp", "pesp"]
    assert mixed.needs.llm == {"attention", "ahead"}


def test_a_mixture_keeps_the_same_share_at_each_of_its_layers() -> None:
    budget = create("dart.inner@2+fastv.inner@12", retention_ratio=0.4).budget(576, 32)
    assert [layer for layer, _ in budget.inner] == [2, 12]
    first, second = (count for _, count in budget.inner)
    assert second / first == pytest.approx(first / 576, abs=0.01)
    assert budget.average(32) == pytest.approx(0.4 * 576, abs=0.5)


def test_a_record_of_a_mixture_names_its_stages() -> None:
    knobs = create("dart.inner@2+fastv.inner@12").knobs
    assert json.loads(json.dumps(knobs)) == knobs
    assert knobs["inner"]["fastv@12"] == {"numbering": "published", "layer": 2}


@pytest.mark.parametrize("before", BEFORE, ids=lambda method: method.name)
@pytest.mark.parametrize(("num_tokens", "num_layers"), [(144, 8), (6272, 28)])
def test_any_two_parts_share_one_budget(
    before: type[CompressionMethod], num_tokens: int, num_layers: int
) -> None:
    for inner, ratio in product(INNER, (0.1, 1 / 3, 0.8)):
        name = f"{before.name}.before+{inner.name}.inner"
        budget = create(name, retention_ratio=ratio).budget(num_tokens, num_layers)
        *_, last = budget.per_layer(num_layers)
        assert abs(budget.average(num_layers) - ratio * num_tokens) <= 0.5, (name, ratio)
        assert last < ratio * num_tokens < budget.before <= 3 * last, (name, ratio)


def test_the_title_notes_a_part_inside_that_drops_nothing() -> None:
    idle = create("random.before+fastv.inner", retention_ratio=0.2, stage_ratio=1.0)
    assert idle.budget(144, 8).inner == ()
    title = "Random before + FastV inside (nothing left to drop inside)"
    assert idle.title_of(idle.budget(144, 8)) == title
    busy = create("random.before+fastv.inner", retention_ratio=0.2)
    assert busy.title_of(busy.budget(144, 8)) == busy.label
    alone = create("random.before", retention_ratio=0.2)
    assert alone.title_of(alone.budget(144, 8)) == alone.label


def test_both_parts_of_one_method_have_nearly_its_own_budget() -> None:
    parts = create("nuwa.before+nuwa.inner", retention_ratio=1 / 9, stage_ratio=7.0)
    assert create("nuwa", retention_ratio=1 / 9).budget(576, 32).per_layer(32)[::31] == [112, 16]
    assert parts.budget(576, 32).per_layer(32)[::31] == [112, 16]


def test_a_single_part_meets_the_ratio() -> None:
    assert create("nuwa.before", retention_ratio=0.25).budget(576, 32).per_layer(32) == [144] * 32
    inside = create("nuwa.inner", retention_ratio=0.75).budget(576, 32).per_layer(32)
    assert inside == [576] * 16 + [288] * 16


def test_caches_are_trimmed_where_the_inner_part_trims_them() -> None:
    assert create("visionzip.before+ivcprune.inner").budget(576, 32).trims_from == 1
    assert create("flashvid.before+prunevid.inner").budget(576, 32).trims_from == 0


@pytest.mark.parametrize(
    ("name", "ratio", "part"),
    [("fastv.inner", 0.05, "FastV prunes before"), ("visionzip.before", 0.01, "VisionZip needs 1")],
)
def test_a_part_refuses_a_ratio_with_its_smallest_one(name, ratio, part) -> None:
    with pytest.raises(
        BudgetError, match=f"{part}.*its smallest retention ratio here is"
    ) as refusal:
        create(name, retention_ratio=ratio).budget(50, 8)
    create(name, retention_ratio=refusal.value.smallest).budget(50, 8)


def test_a_grid_marks_places_in_layouts_with_placeless_tokens() -> None:
    layout = TokenLayout.regular(1, 2, 2, placeless=1)  # [CLS] first
    view = LayerView(1, 0, torch.tensor([0, 1, 4, -1]), layout)
    marked = torch.tensor([True, False, False, True])
    assert of_anchors(marked, view).tolist() == [False, True, True, False]
