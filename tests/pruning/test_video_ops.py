"""The mathematics behind the video methods: segments, selections, trees, clusters, shares."""

from __future__ import annotations

import pytest
import torch

from pruning.methods.prunevid import still
from pruning.ops.apportion import apportion
from pruning.ops.cluster import condense, density_peaks, distances, dpc_knn
from pruning.ops.diverse import diverse, relevance
from pruning.ops.segment import filled, scenes, segments
from pruning.ops.tree import limit_children, link_anywhere, trees
from pruning.token_map import TokenMap
from tests.pruning.clips import ALL, WIDTH, N, T, clip
from tests.pruning.synthetic import random


@pytest.mark.parametrize("least", [1, 3, 8, 20])
@pytest.mark.parametrize("threshold", [-1.0, 0.98, 1.0])
def test_a_clip_has_the_given_number_of_segments_or_more(least: int, threshold: float) -> None:
    frames = clip().mean(dim=1)
    segment = segments(frames, least, threshold)
    alike = torch.cosine_similarity(frames[1:], frames[:-1], dim=1)
    assert segment.max() + 1 == min(T, max(least, int((alike < threshold).sum()) + 1))
    assert set(segment.diff().tolist()) <= {0, 1} and segment[0] == 0


def test_cuts_are_first_between_the_least_similar_frames() -> None:
    frames = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    assert segments(frames, 2, -1.0).tolist() == [0, 0, 1, 1]
    assert segments(frames[:1], 5, 0.9).tolist() == [0]


def test_a_selection_does_not_depend_on_the_scale_of_attention_or_of_tokens() -> None:
    tokens, weight = clip(), random(T, N, seed=5).exp()
    selected = diverse(tokens, weight, 7)
    assert selected.sum(dim=1).tolist() == [7] * T
    assert torch.equal(selected, diverse(tokens, 8 * weight, 7))
    assert torch.equal(selected, diverse(tokens * random(T, N, 1, seed=6).exp(), weight, 7))


def test_no_token_is_selected_twice() -> None:
    tokens = random(T, N, WIDTH, seed=0)  # of zero mean: half of the relevances are negative
    weight = relevance(tokens, torch.arange(T))
    assert (weight < 0).any()
    assert diverse(tokens, weight, N - 1).sum(dim=1).tolist() == [N - 1] * T
    alike = diverse(torch.ones(1, N, 3), torch.ones(1, N), 4)
    assert alike.nonzero()[:, 1].tolist() == [0, 1, 2, 3]


def test_relevance_is_the_mean_product_with_the_frames_of_the_segment() -> None:
    tokens = clip()
    segment = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    expected = (tokens[4] @ tokens[3:5].mean(dim=1).T).mean(dim=1)
    torch.testing.assert_close(relevance(tokens, segment)[4], expected)


def test_selected_tokens_are_neither_parents_nor_children() -> None:
    selected = diverse(clip(), torch.ones(T, N), 20)
    similarity, parent = link_anywhere(clip(), ~selected)
    linked = similarity > -1
    assert not selected.flatten()[linked].any()
    assert not selected.flatten()[parent[linked]].any()
    assert (parent[linked] // N == linked.nonzero().squeeze(1) // N - 1).all()


@pytest.mark.parametrize(("length", "scale"), [(2, 1.0), (3, 1.5), (8, 4.0)])
def test_a_chain_is_a_mean_on_paper_and_grows_as_released(length: int, scale: float) -> None:
    child = torch.arange(length) > 0
    parent = torch.arange(length) - 1
    everyone = torch.ones(length, dtype=torch.bool)
    for mean, expected in (("paper", 1.0), ("official", scale)):
        chain = trees(child, parent.clamp_min(0), everyone, length, mean).token_map(1)
        assert chain.anchors.tolist() == [0]
        assert chain.apply(torch.ones(length, 1)).item() == pytest.approx(expected)


def test_only_the_most_similar_children_keep_their_parents() -> None:
    child = torch.tensor([True, True, True, False, True])
    similarity = torch.tensor([0.5, 0.9, 0.7, 1.0, 0.1])
    groups = torch.tensor([0, 0, 0, 0, 1])
    kept = limit_children(child, similarity, groups, torch.tensor([2, 0]))
    assert kept.tolist() == [False, True, True, False, False]


def test_condensing_is_trees_and_then_clusters() -> None:
    tokens, (similarity, parent) = clip(), link_anywhere(clip(), ALL)
    child = similarity > 0.9
    forest = trees(child, parent, ALL.flatten(), T, "paper")
    counts = (~child).view(T, N).sum(dim=1) // 2
    token_map = condense(forest, tokens, counts, int(counts.sum()))
    forest = forest.token_map(int(forest.is_root.sum()))
    assert (token_map.anchors // N).bincount(minlength=T).tolist() == counts.tolist()
    value, alive = torch.zeros(T * N, WIDTH), (~child).view(T, N)
    value[forest.anchors] = forest.apply(tokens.flatten(0, 1))
    label = dpc_knn(value.view(T, N, WIDTH), alive, counts)
    centre = (label + torch.arange(T)[:, None] * N).flatten()[forest.anchors]
    centre = torch.where(counts[forest.anchors // N] > 0, centre, -1)
    row = torch.where(centre < 0, -1, torch.searchsorted(token_map.anchors, centre))
    clusters = TokenMap.merge(torch.searchsorted(forest.anchors, token_map.anchors), row)
    whole = forest.then(clusters)
    assert whole.anchors.tolist() == token_map.anchors.tolist()
    torch.testing.assert_close(whole.matrix().to_dense(), token_map.matrix().to_dense())


def test_distances_are_euclidean_and_infinite_for_dropped_tokens() -> None:
    tokens, alive = clip(), random(T, N, seed=9) > 0
    distance = distances(tokens, alive)
    expected = torch.cdist(tokens, tokens, compute_mode="donot_use_mm_for_euclid_dist")
    both = alive[:, :, None] & alive[:, None]
    torch.testing.assert_close(distance[both] * WIDTH**0.5, expected[both], atol=1e-4, rtol=1e-4)
    assert distance[~both].isinf().all()
    peaks = density_peaks(distance, alive)
    assert torch.equal(peaks.isinf(), ~alive)


def test_two_groups_of_tokens_make_two_clusters() -> None:
    near, far = random(6, 3, seed=0) * 0.1, random(4, 3, seed=1) * 0.1 + 5
    tokens, alive = torch.cat([near, far])[None], torch.ones(1, 10, dtype=torch.bool)
    label = dpc_knn(tokens, alive, torch.tensor([2]))
    assert len(label[0, :6].unique()) == len(label[0, 6:].unique()) == 1
    assert label[0, 0] < 6 <= label[0, 6]


def test_shares_are_whole_and_sum_to_the_total() -> None:
    quota, room = torch.tensor([1.5, 1.2, 1.3]).double(), torch.tensor([9, 9, 1])
    assert apportion(quota, room, 3).tolist() == [1, 1, 1]
    assert apportion(quota, room, 4).tolist() == [2, 1, 1]
    assert apportion(quota, room, 2).tolist() == [1, 0, 1]
    assert apportion(quota, room, 19).tolist() == [9, 9, 1]
    assert apportion(quota, room, 0).tolist() == [0, 0, 0]


def test_similar_frames_are_one_scene() -> None:
    views = random(3, WIDTH, seed=3)
    frames = views[[0, 0, 0, 1, 1, 1, 2, 2, 2]] + 0.01 * random(9, WIDTH, seed=4)
    assert scenes(frames, 0.34).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert scenes(frames[:1], 0.25).tolist() == [0]


def test_a_frame_between_joins_the_longer_run_beside_it() -> None:
    views = random(2, WIDTH, seed=3)
    frames = views[[0, 0, 0, 1, 0, 1, 1, 1, 1]] + 0.01 * random(9, WIDTH, seed=4)
    assert scenes(frames, 0.25).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("xbbyccc", "bbbbccc"),  # b is three frames long when y is filled
        ("aaxaayccccc", "aaaaaaccccc"),  # and a is five
        ("aaxbb", "aaabb"),  # equals: the left
        ("aabcaaa", "aaaaaaa"),  # a shorter run is filled, too
        ("abcd", "0000"),
    ],
)
def test_a_run_beside_has_grown_by_the_frames_filled_before(labels: str, expected: str) -> None:
    ids = dict(zip("0abcdxy", range(7), strict=True))
    assert filled([ids[label] for label in labels]) == [ids[label] for label in expected]


def test_stillness_is_the_mean_cosine_of_all_pairs_of_frames() -> None:
    tokens, segment = clip(), torch.tensor([0, 1, 1, 1, 1, 2, 2, 2])
    unit = torch.nn.functional.normalize(tokens[1:5, 3], dim=1)
    expected = (unit @ unit.T)[~torch.eye(4, dtype=torch.bool)].mean()
    torch.testing.assert_close(still(tokens, segment)[2, 3], expected)
    assert (still(tokens, segment)[0] == -1).all()  # a lone frame
