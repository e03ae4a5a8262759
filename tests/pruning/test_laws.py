"""What holds for every method, whatever it does. Rows come from tests/cases.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, reduce

import numpy as np
import pytest
import torch

from pruning.axes import place_on_axes, renumber_on_axes
from pruning.base import CompressionMethod, PositionStrategy, Seam
from pruning.budget import BudgetError
from pruning.positions import place
from pruning.token_map import TokenMap
from pruning.trace import Fate
from tests.cases import CASES, Case
from tests.pruning.synthetic import PICTURES, Picture, Run, layer_view, run, visual_tokens

Law = Callable[[Case, Picture], None]
over_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
over_ratios = pytest.mark.parametrize(
    "case", [case for case in CASES if case.has_ratio], ids=lambda case: case.id
)


def over_pictures(law: Law) -> Callable[[Case], None]:
    """One test a case that runs the law on every picture: 7,000 tests of their own take longer.

    A clip with fewer frames than the case's ratio allows is left out; another test is on refusals.
    """

    def test(case: Case) -> None:
        for picture in PICTURES:
            if picture.grid[0] >= case.least_frames:
                law(case, picture)

    return test


@cache
def _ran(case_id: str, picture: Picture) -> Run:
    (case,) = (case for case in CASES if case.id == case_id)
    return run(case.create(), picture)


def ran(case: Case, picture: Picture) -> Run:
    """The run that laws share; they change nothing in it."""
    return _ran(case.id, picture)


def compose(maps: list[TokenMap]) -> TokenMap:
    return reduce(lambda earlier, later: earlier.then(later), maps)


@over_ratios
@over_pictures
def test_everything_kept_is_the_picture_itself(case: Case, picture: Picture) -> None:
    result = run(case.create(retention_ratio=1.0), picture)
    (_, token_map), *later = result.maps
    features, placed = result.visual.features, result.visual.layout.placed
    assert not later
    assert torch.equal(token_map.apply(features), features[torch.from_numpy(placed)])
    assert result.trace.average == 1


@over_cases
@over_pictures
def test_every_token_is_kept_merged_or_dropped(case: Case, picture: Picture) -> None:
    trace = ran(case, picture).trace
    counts = {fate: int((trace.fate == fate).sum()) for fate in Fate}
    assert sum(counts.values()) == len(trace)
    assert counts[Fate.KEPT] == len(np.unique(trace.survivors[trace.survivors >= 0]))
    kept = np.flatnonzero(trace.fate == Fate.KEPT)
    assert (trace.survivor[kept] == kept).all()
    owner = trace.survivor[trace.fate == Fate.MERGED]
    assert (trace.fate[owner[owner >= 0]] == Fate.KEPT).all()
    assert (owner >= 0).all() or (trace.survivors < 0).any()  # gone into one without a place
    assert (trace.survivor[trace.fate == Fate.DROPPED] == -1).all()


@over_cases
@over_pictures
def test_a_token_leaves_at_the_layer_where_no_part_of_it_remains(
    case: Case, picture: Picture
) -> None:
    result = ran(case, picture)
    trace, layers = result.trace, [layer for layer, _ in result.maps]
    assert set(trace.left_at) <= {*layers, trace.num_layers}
    assert ((trace.left_at < trace.num_layers) == (trace.fate == Fate.DROPPED)).all()


@over_cases
@over_pictures
def test_stages_compose(case: Case, picture: Picture) -> None:
    result = ran(case, picture)
    maps = [token_map for _, token_map in result.maps]
    features = result.visual.features
    one_by_one = reduce(lambda tokens, token_map: token_map.apply(tokens), maps, features)
    at_once = compose(maps)
    torch.testing.assert_close(at_once.apply(features), one_by_one, atol=1e-5, rtol=1e-5)
    assert at_once.anchors.tolist() == result.trace.survivors.tolist()
    edges = result.trace.edges
    product = np.zeros((len(at_once), at_once.n), dtype=np.float32)
    product[edges.rows, edges.cols] = edges.weights
    expected = at_once.matrix().to_dense()
    torch.testing.assert_close(torch.from_numpy(product), expected, atol=1e-6, rtol=1e-5)
    assert at_once.tags.keys() == result.trace.tags.keys()
    for name, tag in at_once.tags.items():
        assert tag.tolist() == result.trace.tags[name].tolist()


@over_ratios
def test_the_asked_ratio_is_met_or_refused(case: Case) -> None:
    """In an LLM of an odd number of layers; test_every_budget.py has other depths."""
    for picture in PICTURES:
        check_budget(case, picture, num_layers=9)


@over_cases
@over_pictures
def test_a_method_does_not_modify_its_inputs(case: Case, picture: Picture) -> None:
    method = case.create()
    visual = visual_tokens(picture, method.needs)
    budget = method.budget_for(visual.layout, 8)
    anchors = method.compress(visual, budget.before).anchors
    for name, before in tensors_of(visual_tokens(picture, method.needs)).items():
        assert torch.equal(before, tensors_of(visual)[name]), name
    for stage, (layer, keep) in enumerate(budget.inner, budget.first_stage):
        needs = method.at(stage).needs
        view = layer_view(layer, stage, anchors.clone(), visual.layout, needs)
        method.prune(view, keep)
        untouched = layer_view(layer, stage, anchors, visual.layout, needs)
        for name, before in tensors_of(untouched).items():
            assert torch.equal(before, tensors_of(view)[name]), name


@over_cases
@over_pictures
def test_the_same_picture_gives_the_same_map(case: Case, picture: Picture) -> None:
    once, again = ran(case, picture), run(case.create(), picture)
    for (_, one), (_, other) in zip(once.maps, again.maps, strict=True):
        assert all(
            torch.equal(tensor, tensors_of(other)[name]) for name, tensor in tensors_of(one).items()
        )


@over_cases
@over_pictures
def test_half_precision_stays_finite_and_keeps_its_type(case: Case, picture: Picture) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        result = run(case.create(), picture, dtype=dtype)
        tokens = result.visual.features
        for _, token_map in result.maps:
            assert token_map.weights.dtype == torch.float32
            tokens = token_map.apply(tokens)
        assert tokens.dtype == dtype
        assert tokens.isfinite().all()


@over_cases
@over_pictures
def test_equal_tokens_and_zeros_give_valid_maps(case: Case, picture: Picture) -> None:
    method = case.create()
    visual = visual_tokens(picture, method.needs)
    flat = {name: torch.zeros_like(tensor) for name, tensor in tensors_of(visual).items()}
    blank = type(visual)(layout=visual.layout, key_heads=visual.key_heads, **flat)
    budget = method.budget_for(visual.layout, 8)
    token_map = method.compress(blank, budget.before)
    check_sound(token_map, budget.before)
    for fill in (torch.zeros_like, torch.ones_like):
        anchors = token_map.anchors
        for stage, (layer, keep) in enumerate(budget.inner, budget.first_stage):
            needs = method.at(stage).needs
            view = layer_view(layer, stage, anchors, visual.layout, needs)
            flat = {name: fill(tensor) for name, tensor in tensors_of(view).items()}
            pruned = method.prune(replace(view, **{**flat, "anchors": anchors}), keep)
            check_sound(pruned, keep)
            anchors = anchors[pruned.anchors]


def check_budget(case: Case, picture: Picture, num_layers: int) -> None:
    method = case.create()
    try:
        result = run(method, picture, num_layers)
    except BudgetError as refusal:
        assert refusal.smallest > method.retention_ratio
        run(case.create(retention_ratio=refusal.smallest), picture, num_layers)
        return
    trace, (frames, *sides) = result.trace, picture.grid
    wanted = method.retention_ratio * result.visual.layout.num_placed
    step = min(sides) / 2 if method.seam is Seam.PIXELS else 1  # the next grid is a row off
    assert abs(trace.average * result.visual.layout.num_placed - wanted) <= frames * max(1, step)
    assert trace.per_layer.tolist() == result.budget.per_layer(num_layers)


def check_sound(token_map: TokenMap, keep: int) -> None:
    assert len(token_map) == keep
    assert token_map.weights.isfinite().all()
    assert token_map.scores is None or token_map.scores.isfinite().all()


@over_cases
@over_pictures
def test_survivors_are_numbered_in_order_and_text_follows(case: Case, picture: Picture) -> None:
    result = ran(case, picture)
    layout, (_, token_map) = result.visual.layout, result.maps[0]
    rank = torch.from_numpy(np.where(layout.placed, layout.placed.cumsum() - 1, -1))  # (N,)
    places = torch.where(token_map.anchors < 0, -1, rank[token_map.anchors])
    start, n = 11, layout.num_placed
    for strategy in PositionStrategy:
        ids, after = place(strategy, places, start, n)
        if strategy is PositionStrategy.PERC:
            assert ids.tolist() == list(range(start, start + len(ids)))
            assert after == start + len(ids)
        else:
            steps = ids[places.argsort()].diff()
            assert (steps >= 0).all()
            assert start <= ids.min() and ids.max() < after == start + n


@over_cases
@over_pictures
def test_survivors_keep_their_order_on_each_of_three_axes(case: Case, picture: Picture) -> None:
    result = ran(case, picture)
    layout, (_, token_map) = result.visual.layout, result.maps[0]
    frames, down, along = picture.grid
    grid = np.indices(picture.grid).reshape(3, -1) * [[4], [1], [1]]  # four ids from frame to frame
    places = torch.full((3, len(layout)), -1)  # (3, N)
    places[:, torch.from_numpy(layout.placed)] = torch.from_numpy(grid)
    places = torch.where(token_map.anchors < 0, -1, places[:, token_map.anchors])
    whole = (4 * frames - 3, down, along)
    for strategy in PositionStrategy:
        check_axes(strategy, places, whole, result.maps[1:])


def check_axes(
    strategy: PositionStrategy,
    places: torch.Tensor,
    whole: tuple[int, int, int],
    inner: list[tuple[int, TokenMap]],
) -> None:
    ids, extents = place_on_axes(strategy, places, 11, whole)
    after = 11 + max(extents)
    for places_there, ids_there, extent in zip(places, ids, extents, strict=True):
        assert (ids_there[places_there.argsort()].diff() >= 0).all()
        assert ids_there.min() >= 11 and ids_there.max() < 11 + extent <= after
    if strategy is PositionStrategy.PESP:
        assert torch.equal(ids, 11 + places.clamp_min(0))
    if strategy is PositionStrategy.PERC:
        assert after == ids.max() + 1
        assert all(len(side.unique()) == side.max() - 10 for side in ids[1:])
    else:
        assert extents == whole
    check_inner_axes(ids, extents, strategy, inner)


def check_inner_axes(ids, extents, strategy, maps) -> None:
    text = torch.cat([torch.arange(11), 11 + max(extents) + torch.arange(4)]).expand(3, -1)
    ids = torch.cat([text[:, :11], ids, text[:, 11:]], dim=1)  # (3, S)
    shifted = 0
    for _, token_map in maps:
        span = torch.arange(ids.shape[1])
        visual = (span >= 11) & (span < len(span) - 4)
        rows = torch.cat([span[:11], span[11:-4][token_map.anchors], span[-4:]])
        triples = ids[:, rows]
        ids, shift = renumber_on_axes(strategy, ids, visual, rows, extents)
        shifted += shift
        assert torch.equal(ids[:, :11], text[:, :11])
        assert torch.equal(ids[:, -4:], text[:, 11:] - shifted)
        assert ids[:, 11:-4].min() >= 11 and ids[:, 11:-4].max() < ids[0, -4]
        assert strategy is not PositionStrategy.PESP or torch.equal(ids, triples)
        for old, new in zip(triples[:, 11:-4], ids[:, 11:-4], strict=True):
            assert (new[old.argsort()].diff() >= 0).all()


@over_ratios
def test_a_ratio_outside_0_to_1_is_refused(case: Case) -> None:
    for ratio in (-0.5, 0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="retention_ratio"):
            case.create(retention_ratio=ratio)


@over_cases
def test_a_method_has_a_name_a_title_a_summary_and_documented_knobs(case: Case) -> None:
    method = case.create()
    assert isinstance(method, CompressionMethod)
    assert method.title and method.summary.endswith(".")
    assert all({"low", "high", "choices", "help"} <= set(knob.metadata) for knob in fields(method))


def tensors_of(record: object) -> dict[str, torch.Tensor]:
    values = {item.name: getattr(record, item.name) for item in fields(record)}
    return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}
