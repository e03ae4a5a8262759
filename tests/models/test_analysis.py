"""The analysis of whole lanes: every family, compressed or not, and blocked edges."""

from __future__ import annotations

from weakref import WeakSet

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models.analysis import blocking
from models.analysis.blocking import Edges, block
from models.analysis.cells import quarters, windows
from models.analysis.measures import tokens_inside, visual_entropy
from models.analysis.memory import RUNS, count_kept
from models.analysis.study import FIXED_K, Study, object_tokens, stage_maps, survivors_on
from models.engine import rerun
from models.engine.record import Cell
from models.engine.replay import Replay, log_probability
from models.engine.rerun import run
from models.uploads.media import Media
from pruning.errors import UnsupportedError
from pruning.methods import create
from pruning.token_map import TokenMap
from tests.models import test_replay
from tests.models.runs import FAMILIES
from tests.models.test_qwen2_5_vl import encoded, written_down
from tests.tiny import SETTINGS, Setting, clip, picture, prefilled

EVERY = pytest.mark.parametrize("setting", FAMILIES, ids=lambda setting: setting.id)
BOX = (0.2, 0.2, 0.8, 0.8)


def directions(states: torch.Tensor) -> float:
    """Effective rank by a singular value decomposition."""
    shares = torch.linalg.svdvals(states.double())
    shares = shares[shares > 0] / shares.sum()
    return float((-shares * shares.log()).sum().exp())


def decoded(setting: Setting, method: str, **knobs: float):
    lane = prefilled(setting.model(), create(method, **knobs), setting.upload())
    for _ in lane.decode(4, 0.0, 0, stops=False):
        pass
    return lane


@EVERY
def test_every_family_is_measured_in_every_layer(setting: Setting) -> None:
    lane = decoded(setting, "random", retention_ratio=0.5)
    found = Study(BOX)(lane)
    count, layers = len(lane.visual), lane.adapter.decoder.num_layers
    assert found.maps.shape == (4, layers, count) and found.words.shape == (layers, count)
    few = len(lane.token_map) <= FIXED_K
    for name, curve in found.curves.items():
        assert curve.shape == (layers,), name
        assert np.isfinite(curve).all() or (few and name.startswith("cohesion_fixed")), name
    assert (
        len(found.encoder_curves["entropy"]) == lane.adapter.encoder_of(lane.prompt).feature_state
    )
    flow = found.maps.sum(axis=2).mean(axis=0)  # what is spread over catchments adds up again
    assert np.allclose(flow, found.curves["answer_flow"], atol=1e-5)
    survivors = [np.sort(stage.anchors.numpy()) for stage in stage_maps(lane)]
    said = [np.flatnonzero(words >= 0) for words in found.words]
    assert all((one == other).all() for one, other in zip(survivors, said, strict=True))


@EVERY
def test_every_curve_of_the_llm_is_that_of_a_stock_run(setting: Setting) -> None:
    lane = test_replay.decoded(setting, kernel="eager")
    found, decoder, sequence = Study(BOX)(lane), lane.adapter.decoder, lane.sequence
    stock, attentions, inputs = test_replay.stock_run(lane)
    log_probability(stock, torch.tensor(lane.stream.ids)).backward()
    visual, placed, prompt = sequence.visual, sequence.anchors >= 0, len(sequence.embeds)
    parts = {
        "text": slice(prompt - sequence.num_after, prompt - 1),
        "answer": slice(prompt - 1, None),
    }
    layout = lane.visual.layout
    inside = tokens_inside(layout.box, BOX) & (layout.frame == layout.frame.max())
    owned = set(np.flatnonzero(inside[sequence.anchors] & placed.numpy()).tolist())
    for layer, (attention, (state,)) in enumerate(zip(attentions, inputs, strict=True)):
        weights, gradient = attention[0].detach(), attention.grad[0]
        expected = {}
        for name, rows in parts.items():
            on_visual = weights[:, rows][..., visual]
            expected[f"{name}_flow"] = on_visual.sum(-1).mean()
            weighted = on_visual * gradient[:, rows][..., visual]
            expected[f"{name}_gradient_flow"] = weighted.relu().sum(-1).mean()
        received = weights[:, parts["answer"]][..., visual].mean((0, 1))
        for name, k in (("cohesion", len(owned)), ("cohesion_fixed", FIXED_K)):
            top = set(received.topk(k).indices.tolist()) if k < len(visual) else None
            expected[name] = np.nan if top is None else len(top & owned) / len(top | owned)
        expected["entropy"], _ = visual_entropy(weights.mean(0)[visual][:, visual])
        expected["rank"] = directions(state[visual])
        for name, value in expected.items():
            tolerant = pytest.approx(float(value), abs=1e-5, rel=1e-5, nan_ok=True)
            assert found.curves[name][layer] == tolerant, name
        said = decoder.head(decoder.model.norm(state[visual])).argmax(-1)[placed]
        words = [lane.adapter.to_text([int(word)]) for word in said]
        at = found.words[layer][sequence.anchors[placed]]
        assert [found.vocabulary[index] for index in at] == words


def test_a_survivor_belongs_to_the_object_if_half_of_it_lies_there() -> None:
    owner = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3])
    inside = torch.tensor([0, 1, 1, 0, 0, 0, 1, 0]).bool()
    known = torch.tensor([1, 1, 1, 1, 1, 0, 1, 0]).bool()  # the others are of earlier frames
    merged = TokenMap.merge(torch.tensor([0, 2, 5, 7]), owner)
    assert survivors_on(inside, known, merged).tolist() == [True, False, True, False]
    kept = TokenMap.select(torch.tensor([1, 3, 6]), 8)
    assert survivors_on(inside, known, kept).tolist() == [True, False, True]


def test_a_pooled_lane_has_object_tokens_where_no_anchor_lies_on_the_object() -> None:
    lane = decoded(SETTINGS[0], "pooling", retention_ratio=0.25)
    (left, top, *_), (*_, right, bottom) = lane.visual.layout.box[6:8].tolist()  # of one window
    box = left, top, right, bottom
    assert not object_tokens(lane, box)[lane.token_map.anchors].any()
    hidden = (Cell("last", (0, 8), "object"),)
    found = Study(box, hidden)(lane)
    assert np.isfinite(found.curves["cohesion"]).all()
    assert found.blocked[0].probability_ratio != pytest.approx(1)
    quarter = left, top, (left + right) / 2, bottom  # of the window: no survivor belongs to it
    assert Study(quarter, hidden, ())(lane).blocked[0].probability_ratio == pytest.approx(1)
    with pytest.raises(UnsupportedError, match="No token"):
        Study(None, hidden, ())(lane)


def test_attention_on_a_merged_survivor_lies_on_its_whole_catchment() -> None:
    lane = decoded(SETTINGS[0], "pooling", retention_ratio=0.25)
    merged = Study()(lane).maps[0, 0].reshape(6, 6)
    assert (merged.reshape(3, 2, 3, 2).std(axis=(1, 3)) < 1e-6).all()
    assert merged.std() > 1e-4


@pytest.mark.parametrize(
    "setting",
    [one for one in FAMILIES if one.on_one_axis],  # Qwen's returns none: see below
    ids=lambda setting: setting.id,
)
def test_the_entropy_of_an_encoder_layer_is_that_of_its_stock_attention(setting: Setting) -> None:
    lane = prefilled(setting.model(kernel="eager"), create("vanilla"), setting.upload())
    for _ in lane.decode(2, 0.0, 0, stops=False):
        pass
    encoder = lane.adapter.encoder_of(lane.prompt)
    stock, first = encoder.tower(lane.prompt.pixels, output_attentions=True), encoder.prefix
    expected = [
        np.mean([visual_entropy(view[first:, first:], causal=False)[0] for view in each.mean(1)])
        for each in stock.attentions[: encoder.feature_state]
    ]
    assert np.allclose(Study()(lane).encoder_curves["entropy"], expected, atol=1e-5)


@pytest.mark.parametrize("media", [picture(100, 200), clip()], ids=lambda media: media.kind)
def test_attention_among_the_patches_of_a_frame_is_that_written_down(media: Media) -> None:
    adapter, prompt, _ = encoded(media)
    encoder, (attentions, _, states) = adapter.encoder_of(prompt), written_down(adapter, prompt)
    order = encoder.to_tower_order(torch.arange(len(prompt.pixels))[:, None])[:, 0]  # (P,)
    for index, attention in enumerate(attentions):
        with torch.inference_mode():
            among = encoder.among(index, encoder.by_frame(states[index][order]))  # (T, n, n)
        expected = attention.mean(dim=0)[order][:, order]
        torch.testing.assert_close(torch.block_diag(*among), expected, atol=1e-5, rtol=0)


def test_after_an_analysis_a_lane_runs_the_operations_that_it_ran_before() -> None:
    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            ran.append(str(function))
            return function(*args, **kwargs or {})

    def operations() -> list[str]:
        ran.clear()
        with Operations():
            decoded(SETTINGS[0], "vanilla")
        return ran.copy()

    ran: list[str] = []
    operations()  # what is computed once and kept
    before = operations()
    Study(BOX, (Cell("last", (0, 8)),))(decoded(SETTINGS[0], "vanilla"))
    assert operations() == before and len(before) > 100


def test_a_blocked_cell_holds_as_many_runs_as_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    replay, alive, most = Replay.of(decoded(SETTINGS[0], "vanilla")), WeakSet(), []

    def watched(*args):
        most.append(len(alive) + 1)
        found = run(*args)
        alive.add(found)
        return found

    monkeypatch.setattr(blocking, "run", watched)
    monkeypatch.setattr(rerun, "run", watched)
    block(watched(replay), Edges("last", range(8)), frozenset(), 12)
    assert max(most) == RUNS and len(most) > RUNS


def test_blocking_nothing_changes_nothing_and_blocking_all_changes_the_answer() -> None:
    lane = decoded(SETTINGS[0], "vanilla")
    opened, everything = run(Replay.of(lane)), range(8)
    none = [torch.zeros(len(lane.visual), dtype=torch.bool)] * 8
    ratio, same = block(opened, Edges("last", everything, "object", none), frozenset(), 4)
    assert ratio == pytest.approx(1) and same == lane.stream.ids
    ratio, other = block(opened, Edges("last", everything), frozenset(), 4)
    assert other != lane.stream.ids and ratio != pytest.approx(1)
    end = other[1]
    _, ended = block(opened, Edges("last", everything), frozenset({end}), 4)
    assert ended == other[: other.index(end) + 1]
    (cell,) = Study(blocked=(Cell("last", (0, 8)),))(lane).blocked
    assert cell.probability_ratio == pytest.approx(ratio)


def test_quarters_cover_all_layers_once_and_windows_slide_by_one() -> None:
    assert [layer for quarter in quarters(6) for layer in quarter] == list(range(6))
    assert quarters(32) == [range(0, 8), range(8, 16), range(16, 24), range(24, 32)]
    assert windows(4, 3) == [range(0, 3), range(1, 4)]


@EVERY
def test_the_counted_memory_of_the_measures_is_that_of_the_real_tensors(setting: Setting) -> None:
    lane = decoded(setting, "vanilla")
    replay, config = Replay.of(lane), lane.adapter.model.config
    *layers, _ = replay.layers(gradients=True, among_visual=True)
    visual = len(layers[0].rows.visual)
    text = len(replay.sequence.embeds) - visual
    kept = count_kept(config, visual, text, len(replay.answer), "float32")
    read = sum(3 * each.attention.nbytes for each in layers)  # and a probe and a gradient as large
    assert all(each.probe.nbytes == each.attention.nbytes for each in layers)
    unwatched = text + len(replay.answer) - 1 - layers[0].attention.shape[1]  # before the upload
    watched = layers[0].attention.shape[1]
    assert kept.attention * watched == read * (watched + unwatched)
    rows = layers[0].rows.count
    width = layers[0].inputs.nbytes // visual
    assert kept.states == len(layers) * rows * width
    ran = run(replay).layers
    assert kept.runs == RUNS * sum(
        each.output.nbytes + each.keys.nbytes + each.values.nbytes for each in ran
    )
    mask = replay.closed(0, layers[0].rows)
    assert kept.one_layer == layers[0].among_visual.nbytes + mask.nbytes
    assert {id(replay.closed(each.layer, each.rows)) for each in layers} == {id(mask)}
