"""Methods that prune inside the LLM, beyond laws and parity."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pruning.base import Needs, PositionStrategy
from pruning.methods import create
from pruning.methods.feather import even_grid
from pruning.methods.sparsevlm import DROPPING, RECYCLING, raters
from pruning.tokens import LayerView, TokenLayout
from tests.pruning.synthetic import layer_view, random

CPU = torch.device("cpu")


def seen(name: str, rows: int, **changed: torch.Tensor) -> LayerView:
    """What a method sees of one frame of `rows` tokens at its first pruning layer."""
    layout = TokenLayout.regular(1, 4, rows // 4)
    view = layer_view(3, 0, torch.arange(rows), layout, create(name).needs)
    return replace(view, **changed)


def test_words_similar_to_the_picture_are_raters() -> None:
    inputs = torch.tensor([[2.0, 0.0], [3.0, 0.0]])
    assert raters(inputs, torch.tensor([[0.0, 1], [1, 0], [-1, 0]])).tolist() == [1]


@pytest.mark.parametrize("words", [1, 3])
def test_equally_similar_words_are_all_raters(words: int) -> None:
    alike = random(1, 8, seed=0).expand(words, 8)
    assert raters(random(5, 8, seed=1), alike).tolist() == list(range(words))


def test_sgl_keeps_tokens_by_the_attention_of_the_guide_only() -> None:
    importance = torch.tensor([0.1, 0.5, 0.0, 0.4, 0.2, 0.3, 0.0, 0.0])
    token_map = create("sgl").prune(seen("sgl", 8, guidance=importance), 3)
    assert token_map.is_selection
    assert token_map.anchors.tolist() == [1, 3, 5]
    assert create("sgl").needs == Needs(llm=frozenset({"guidance"}))


@pytest.mark.parametrize(
    ("layers", "first"),
    [(32, 9), (48, 14), (2, 1), (4, 1), (6, 1), (40, 12), (60, 18), (80, 24)],
)
def test_sgl_at_its_published_share_prunes_as_released(layers: int, first: int) -> None:
    """30 % of 256 tokens from 30 % of the layers on; in 48 layers as in InternVL2's 26B."""
    average = (first * 256 + (layers - first) * int(0.3 * 256)) / layers / 256
    budget = create("sgl", retention_ratio=average).budget(256, layers)
    assert (budget.before, budget.inner) == (256, ((first, 76),))


@pytest.mark.parametrize("name", ["sparsevlm", "sparsevlm:plus"])
def test_sparsevlm_accepts_a_question_of_one_word(name: str) -> None:
    method, view = create(name), seen(name, 40)
    one_word = {"text_inputs": view.text_inputs[:1], "attention": view.attention[:, :1]}
    if view.query_rotary is not None:
        one_word["query_rotary"] = view.query_rotary[:, :1]
    token_map = method.prune(replace(view, **one_word), 12)
    assert len(token_map) == 12
    assert token_map.scores.isfinite().all()


@pytest.mark.parametrize("keep", range(1, 41))
def test_sparsevlm_keeps_any_count_and_half_of_it_unmerged(keep: int) -> None:
    token_map = create("sparsevlm").prune(seen("sparsevlm", 40), keep)
    assert len(token_map) == keep
    whole = token_map.rows[token_map.weights != 0].bincount(minlength=keep) == 1
    assert 2 * int(whole.sum()) >= keep
    sums = token_map.matrix().to_dense().sum(dim=1)
    torch.testing.assert_close(sums, torch.ones(keep))


def test_sparsevlm_plus_merges_nothing_and_keeps_the_ids() -> None:
    method = create("sparsevlm:plus")
    assert method.prune(seen("sparsevlm:plus", 40), 12).is_selection
    assert method.positions.inner is PositionStrategy.PESP
    assert create("sparsevlm").positions.inner is PositionStrategy.PERC
    assert "rotary" not in create("sparsevlm").needs.llm
    assert method.label == "SparseVLM, plus"


@pytest.mark.parametrize(("released", "name"), [(RECYCLING, "v1.5"), (DROPPING, "plus")])
@pytest.mark.parametrize(
    ("tokens", "nearest"), [(200, 1 / 3), (130, 2 / 9), (100, 1 / 6), (70, 1 / 9)]
)
def test_sparsevlm_follows_the_list_nearest_to_the_ratio(released, name, tokens, nearest) -> None:
    budget = create(f"sparsevlm:{name}", retention_ratio=tokens / 576).budget(576, 32)
    counts = torch.tensor([count for _, count in budget.inner], dtype=torch.float32)
    official = torch.tensor(released[nearest], dtype=torch.float32)
    assert [layer for layer, _ in budget.inner] == [3, 7, 16]
    scale = counts.sum() / official.sum()
    assert (counts - scale * official).abs().max() <= 1.5


def test_the_grid_of_feather_is_in_every_frame_and_widens_until_it_fits() -> None:
    grid = (2, 4, 6)
    assert even_grid(grid, 2, 12, CPU).view(grid).nonzero().tolist() == [
        [frame, row, col] for frame in (0, 1) for row in (0, 2) for col in (0, 2, 4)
    ]
    assert int(even_grid(grid, 2, 11, CPU).sum()) == 2 * 2 * 2
    assert even_grid(grid, 2, 2, CPU).nonzero().flatten().tolist() == [0, 24]
    assert not even_grid(grid, 2, 1, CPU).any()


@pytest.mark.parametrize(("side", "stride"), [(27, 3), (24, 3), (16, 2), (48, 5)])
def test_the_stride_of_feather_grows_with_the_side(side: int, stride: int) -> None:
    layout, rows = TokenLayout.regular(1, side, side), torch.arange(side * side)
    view = layer_view(8, 0, rows, layout, create("feather").needs)
    token_map = create("feather").prune(view, side * side // 2)
    kept = token_map.anchors[token_map.tags["grid"]]
    assert torch.equal(kept, even_grid((1, side, side), stride, side * side, CPU).nonzero()[:, 0])


@pytest.mark.parametrize(("name", "count"), [("feather", 64), ("feather:early", 25)])
def test_the_grid_of_feather_as_released_may_be_all_that_is_kept(name: str, count: int) -> None:
    layout, rows = TokenLayout.regular(1, 24, 24), torch.arange(576)
    view = layer_view(8, 0, rows, layout, create(name).needs)
    assert int(create(name).prune(view, 66).tags["grid"].sum()) == count


def test_feather_protects_its_grid_once() -> None:
    method, view = create("feather", stride=13), seen("feather", 40)
    grid = even_grid((1, 4, 10), 2, 40, CPU)
    first, later = (method.prune(replace(view, stage=stage), 20).anchors for stage in (0, 1))
    assert grid[first].sum() == grid.sum()
    assert grid[later].sum() < grid.sum()
    assert not torch.equal(first, later)


def test_coordinates_depend_on_places_only() -> None:
    method, view = create("ivcprune"), seen("ivcprune", 40)
    other = replace(view, values=random(*view.values.shape, seed=99))
    first, again = (method.prune(each, 20) for each in (view, other))
    places = [each.anchors[each.tags["coordinate"]].tolist() for each in (first, again)]
    cosine, sine = view.rotary.mean(dim=2)
    assert set(places[0]) == {*cosine.topk(4).indices.tolist(), *sine.topk(4).indices.tolist()}
    assert places[0] == places[1]
    assert first.anchors.tolist() != again.anchors.tolist()


@pytest.mark.parametrize("words", [1, 2, 3])
def test_ivcprune_skips_two_rows_of_text_where_it_has_more(words: int) -> None:
    method, view = create("ivcprune"), seen("ivcprune", 40)
    text = view.text_values[:, :words]
    scores = method.prune(replace(view, text_values=text), 12).scores
    first = text.clone()
    first[:, 0] += 1
    changed = method.prune(replace(view, text_values=first), 12).scores
    assert scores.isfinite().all()
    by_the_first = (scores - changed).abs().max() / scores.max()
    assert by_the_first > 0.1 if words < 3 else by_the_first < 0.1
