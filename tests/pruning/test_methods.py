"""Single methods beyond the laws, and their creation by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from pruning.base import PositionStrategy
from pruning.methods import METHODS, create
from pruning.ops.grid import proximity, rank_in_cells
from pruning.ops.select import best_offered, rank_within, top
from pruning.ops.similarity import cosine
from pruning.tokens import LayerView, TokenLayout, VisualTokens
from tests.cases import CASES
from tests.pruning.synthetic import PICTURES, random, run, visual_tokens


def test_every_method_has_a_row_in_the_table() -> None:
    assert {method.name for method in METHODS} <= {case.create().name for case in CASES}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"Unknown method 'x'\. Choose one of vanilla, "):
        create("x")
    with pytest.raises(ValueError, match=r"Unknown Nüwa preset 'x'\. Choose one of official, pap"):
        create("nuwa:x")
    with pytest.raises(ValueError, match=r"Unknown FastV knob 'x'\. Choose one of numbering, ret"):
        create("fastv", x=1)


def test_a_preset_is_a_starting_point_for_knobs() -> None:
    assert create("nuwa") == create("nuwa:official") == create("nuwa", preset="official")
    paper = create("nuwa:paper", retention_ratio=0.5, ranker="attention")
    assert paper == create("nuwa", "paper", retention_ratio=0.5, ranker="attention")
    assert paper.positions.before is PositionStrategy.RPME
    assert paper.needs.llm_queries == "last"


def test_the_label_names_a_preset_unless_it_is_the_first() -> None:
    assert create("nuwa", retention_ratio=0.5, numbering="perc").label == "Nüwa"
    assert create("nuwa:paper", retention_ratio=0.5, numbering="perc").label == "Nüwa, paper"
    assert create("fastv").label == "FastV"


@pytest.mark.parametrize(
    ("name", "place", "label"),
    [("visionzip", "before", "VisionZip, fix"), ("fastv", "inner", "FastV, fix")],
)
def test_the_preset_fix_changes_only_the_numbering(name: str, place: str, label: str) -> None:
    fix = create(f"{name}:fix")
    assert getattr(fix.positions, place) is PositionStrategy.RPME and fix.label == label
    assert replace(fix, numbering="published") == create(name)


def test_a_method_is_tuned_to_the_family_of_the_model_unless_a_preset_is_named() -> None:
    assert create("flashvid", family="qwen2.5-vl").preset == "qwen2.5-vl"
    assert create("flashvid:official", family="qwen2.5-vl").preset == "official"
    assert create("flashvid", family="llava-onevision").preset == "llava", "tuned to no such family"
    parts = create("flashvid.before+fastv.inner", family="qwen3-vl").knobs["before"]
    assert parts["min_segments"] == create("flashvid:qwen3-vl").knobs["min_segments"]


def test_ties_go_to_the_earlier_token() -> None:
    assert top(torch.tensor([1.0, 2.0, 1.0, 1.0, 2.0]), 3).tolist() == [0, 1, 4]
    assert rank_within(torch.zeros(3, dtype=torch.int64), torch.ones(3)).tolist() == [0, 1, 2]


def test_ranks_are_counted_in_each_group() -> None:
    groups, scores = torch.tensor([1, 0, 1, 0, 1]), torch.tensor([0.1, 0.2, 0.9, 0.4, 0.5])
    assert rank_within(groups, scores).tolist() == [2, 1, 0, 0, 1]


def test_a_zero_vector_has_similarity_zero() -> None:
    similarity = cosine(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[3.0, 0.0]]))
    assert similarity.tolist() == [[0.0], [1.0]]


def test_border_cells_are_smaller() -> None:
    assert rank_in_cells((1, 3, 3), 2, torch.zeros(9)).view(3, 3).tolist() == [
        [0, 1, 0],
        [2, 3, 1],
        [0, 1, 0],
    ]
    assert rank_in_cells((2, 1, 2), 2, torch.tensor([0.0, 1, 2, 1])).tolist() == [1, 0, 0, 1]


def test_frames_are_out_of_reach_of_each_other() -> None:
    near = proximity((2, 2, 2), torch.tensor([0]), share=2.0)
    assert near[0, :4].min() > 0
    assert near[0, 4:].max() == 0


def test_a_single_token_is_near_itself() -> None:
    assert proximity((1, 1, 1), torch.tensor([0]), share=0.5).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("grid", "keep", "pooled"),
    [((8, 8), 16, (4, 4)), ((12, 4), 12, (6, 2)), ((5, 9), 8, (2, 4)), ((24, 24), 144, (12, 12))],
)
def test_pooling_is_adaptive_average_pooling(grid, keep, pooled) -> None:
    features = random(grid[0] * grid[1], 3, seed=0)
    visual = VisualTokens(features, TokenLayout.regular(1, *grid))
    token_map = create("pooling").compress(visual, keep)
    image = features.T.reshape(3, *grid)
    expected = adaptive_avg_pool2d(image, pooled).flatten(1).T
    torch.testing.assert_close(token_map.apply(features), expected)


def test_a_pooled_token_is_placed_at_the_middle_of_its_window() -> None:
    visual = VisualTokens(torch.ones(81, 1), TokenLayout.regular(1, 9, 9))
    anchors = create("pooling").compress(visual, 9).anchors
    assert anchors.tolist() == [9 * row + col for row in (1, 4, 7) for col in (1, 4, 7)]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.id)
@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("pooling", {}),
        ("nuwa", {}),
        *(("visionzip", {"contextual_share": share}) for share in (0.0, 0.16, 0.5)),
    ],
)
def test_any_count_of_survivors_is_reached_in_raster_order(name, knobs, picture) -> None:
    method = create(name, **knobs)
    visual = visual_tokens(picture, method.needs)
    for keep in range(1, visual.layout.num_placed + 1):
        token_map = method.compress(visual, keep)
        anchors, sums = token_map.anchors, token_map.matrix().to_dense().sum(dim=1)
        assert len(token_map) == keep and token_map.weights.isfinite().all()
        assert visual.layout.placed[anchors[anchors >= 0]].any()
        assert name == "visionzip" or (anchors.diff() > 0).all()
        assert name != "pooling" or torch.allclose(sums, torch.ones(keep))


def test_nuwa_offers_one_token_a_cell_before_a_second() -> None:
    scores = torch.arange(36.0)  # the best are all in the last rows
    rank = rank_in_cells((1, 6, 6), 2, scores)
    kept = best_offered(rank, scores, 9, each=1)
    cell = kept // 6 // 2 * 3 + kept % 6 // 2
    assert cell.tolist() == list(range(9))
    assert best_offered(rank, scores, 9, each=4).tolist() == list(range(27, 36))


def test_a_pillar_is_unchanged_and_a_collector_gathers() -> None:
    result = run(create("nuwa", retention_ratio=0.3), PICTURES[0])
    token_map, features = result.maps[0][1], result.visual.features
    survivors, pillar = token_map.apply(features), token_map.tags["pillar"]
    assert 0 < pillar.sum() < len(pillar)
    torch.testing.assert_close(survivors[pillar], features[token_map.anchors[pillar]])
    sums = token_map.matrix().to_dense().sum(dim=1)
    assert (sums[~pillar] > 1).all()


def test_a_normalized_collector_weighs_one() -> None:
    result = run(create("nuwa", retention_ratio=0.3, self_weight="normalized"), PICTURES[0])
    sums = result.maps[0][1].matrix().to_dense().sum(dim=1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_nuwa_of_the_paper_keeps_tokens_similar_to_the_question() -> None:
    hidden = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [2.0, 0.5]])
    text = torch.tensor([[0.0, 3.0], [9.0, -3.0]])  # together they point at token 0
    layout = TokenLayout.regular(1, 2, 2)
    view = LayerView(3, 0, torch.arange(4), layout, hidden=hidden, text=text)
    assert create("nuwa:paper").prune(view, 2).anchors.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("pillar_by", "strongest"), [("attention", 3), ("key_norm", 0), ("feature_norm", 2)]
)
def test_a_pillar_is_the_strongest_by_the_chosen_criterion(pillar_by, strongest) -> None:
    layout = TokenLayout.regular(1, 2, 3)
    attention = torch.tensor([0.3, 0.2, 0.1, 0.4, 0.0, 0.0])
    features = torch.ones(6, 2) * torch.tensor([1.0, 1, 5, 1, 1, 1])[:, None]
    keys = torch.ones(6, 2) * torch.tensor([9.0, 1, 1, 1, 1, 1])[:, None]
    visual = VisualTokens(features, layout, attention, keys)
    method = create("nuwa", pillar_by=pillar_by, pillar_quantile=1.0, alike_by="features")
    token_map = method.compress(visual, 5)
    assert token_map.anchors[token_map.tags["pillar"]].tolist() == [strongest]


def test_salience_of_the_paper_weighs_attention_by_the_key() -> None:
    layout = TokenLayout.regular(1, 2, 2)
    attention, keys = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([[1.0], [2.0], [2.5], [3.0]])
    visual = VisualTokens(torch.ones(4, 2), layout, attention, keys)
    method = create("nuwa", salience="attention_norm", alike_by="features")
    assert method.compress(visual, 1).anchors.tolist() == [1]
    assert create("nuwa", alike_by="features").compress(visual, 1).anchors.tolist() == [0]


def test_different_seeds_select_different_tokens() -> None:
    visual = visual_tokens(PICTURES[0], create("random").needs)
    first, second = (create("random", seed=seed).compress(visual, 9).anchors for seed in (0, 1))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_any_method_accepts_any_position_strategy(method) -> None:
    for strategy in PositionStrategy:
        positions = create(method.name, numbering=strategy.value).positions
        assert positions.before is positions.inner is strategy
    assert create(method.name).positions == method.published
