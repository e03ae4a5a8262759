"""What the embedded models are taught is what is true, at any size and of any length."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from models.embedded import build, build_video
from models.embedded.build import GRID, PATCH
from models.embedded.build_video import begin_from as begin_video
from models.embedded.growing import begin_from, stretched
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import answering, perception, watching
from models.embedded.training.canvas import (
    LEAST,
    NATIVE_FROM,
    batch_size,
    canvas,
    first_upload,
)
from models.embedded.training.packing import attend, packed, prefix, seen
from models.embedded.world.clip_questions import questions as clip_questions
from models.embedded.world.clips import draw_clip
from models.embedded.world.glyphs import CHARACTERS
from models.embedded.world.questions import questions
from models.embedded.world.scenes import draw_scene

pytestmark = pytest.mark.slow  # of the training alone

SHAPES = [(GRID, GRID), (9, 14)]
ROOT = Path(__file__).resolve().parents[2]


def scene_of(seed, shape):
    return draw_scene(seed, PATCH * shape[0], shape=shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_question_points_at_the_tokens_of_the_thing_it_is_about(shape):
    for seed in range(8):
        scene = scene_of(seed, shape)
        owner = perception.owners(scene, *shape)
        asked = questions(scene, np.random.default_rng(seed), count=8)
        row = packed(make_tokenizer(), asked, owner, 1.0, length=200)
        for number in row["asked"].nonzero().flatten().tolist():
            question = asked[number]
            shown = {int(owner[token]) for token in row["about"][number].nonzero().flatten()}
            assert shown <= set(question.subjects)
            if question.box:
                (target,) = question.subjects
                assert scene.things[target].box == question.box
            if question.sort == "existence":
                assert bool(question.subjects) == (question.answer == "yes")


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_say_where_a_patch_lies_and_how_far_its_objects_edges_are(shape):
    rows, cols = shape
    for seed in range(8):
        scene = scene_of(seed, shape)
        truth = perception.labels(scene, rows, cols)
        for cell in truth["object"].nonzero().flatten().tolist():
            box = scene.things[int(truth["owner"][cell])].box
            x, y = (cell % cols + 0.5) / cols, (cell // cols + 0.5) / rows
            assert truth["centre"][cell].tolist() == pytest.approx([x, y])
            edges = [(box[0] - x) * cols, (box[1] - y) * rows]
            edges += [(box[2] - x) * cols, (box[3] - y) * rows]
            assert (4 * truth["edges"][cell]).tolist() == pytest.approx(edges, abs=1e-4)


def test_characters_are_labelled_in_reading_order_on_signs_alone():
    read = 0
    for seed in range(60):
        scene = scene_of(seed, (GRID, GRID))
        truth = perception.labels(scene, GRID, GRID)
        owner, found = truth["owner"], truth["character"]
        signs = [index for index, thing in enumerate(scene.things) if thing.text]
        on_sign = torch.isin(owner, torch.tensor(signs, dtype=torch.long))
        assert (found[~on_sign] == perception.NONE).all()
        for index in signs:
            cells = (owner == index).nonzero().flatten()
            inked = cells[found[cells] < len(CHARACTERS)]
            letters = found[inked[(inked % GRID).argsort(stable=True)]].tolist()
            said = "".join(CHARACTERS[letter] for letter in letters)
            collapsed = "".join(c for i, c in enumerate(said) if i == 0 or c != said[i - 1])
            text = scene.things[index].text
            plain = "".join(c for i, c in enumerate(text) if i == 0 or c != text[i - 1])
            hidden = any(
                other is not scene.things[index]
                and min(other.box[2], scene.things[index].box[2])
                > max(other.box[0], scene.things[index].box[0])
                for other in scene.things[index + 1 :]
            )
            if not hidden:
                assert collapsed == plain
                read += 1
    assert read > 5


def test_a_question_about_a_clip_points_at_its_actor_in_every_frame_that_shows_it():
    for seed in range(6):
        clip = draw_clip(seed, frames=8)
        owner = watching.so_far(clip, 8, 8)["owner"].view(len(clip.scenes), -1)
        for question in clip_questions(clip, np.random.default_rng(seed), 8, 0.5):
            if question.sort == "end":
                (target,) = question.subjects
                for time, cells in zip(clip.times, owner, strict=True):
                    in_sight = clip.actors[target].at(time) is not None
                    assert in_sight or target not in cells


def test_each_conversation_sees_the_upload_and_itself_only():
    (visible,) = seen(torch.tensor([[1, 1, 2, 2, -1]]), head=2)[0]  # (5, 7)
    assert visible[:, :2].all() and not visible[:, 2:].triu(1).any()
    assert visible[1, 2] and not visible[2, 2] and not visible[2, 3] and visible[3, 4]


def test_attention_to_packed_rows_equals_attention_under_the_whole_mask():
    query, key, value = torch.randn(3, 2, 3, 7, 4, generator=torch.Generator().manual_seed(0))
    visible = seen(torch.tensor([[1, 1, 2, 2, -1], [1, 2, 2, 2, 3]]), head=2)
    whole = torch.cat([torch.ones(2, 1, 2, 7, dtype=torch.bool).tril(), visible], 2)
    wanted = scaled_dot_product_attention(query, key, value, attn_mask=whole)
    torch.testing.assert_close(attend(None, query, key, value, visible)[0], wanted.transpose(1, 2))


def test_a_question_that_follows_goes_on_in_the_conversation_and_its_places():
    scene, tokenizer = scene_of(3, (GRID, GRID)), make_tokenizer()
    owner = perception.owners(scene, GRID, GRID)
    asked = questions(scene, np.random.default_rng(3), count=12)
    row = packed(tokenizer, asked, owner, 1.0, 200, np.random.default_rng(0))
    conversation = row["conversation"][row["conversation"] >= 0]
    assert 1 < len(conversation.unique()) < int(row["asked"].sum())
    for number in conversation.unique():
        place = row["place"][row["conversation"] == number]
        assert torch.equal(place, torch.arange(len(place)))


def test_words_before_the_upload_are_of_several_lengths_and_known():
    tokenizer = make_tokenizer()
    lengths = {len(prefix(tokenizer, "<image>", np.random.default_rng(s))) for s in range(40)}
    assert len(lengths) > 4 and min(lengths) == 3  # <s>, user, the colon
    for seed in range(40):
        ids = prefix(tokenizer, "<video>", np.random.default_rng(seed))
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.convert_tokens_to_ids("<video>") not in ids


@pytest.mark.parametrize("make", [answering.batch, watching.batch])
def test_every_row_that_is_scored_predicts_the_next_id_of_its_own_answer(make):
    batch = make(0, steps=100, seed=9, rows=700)
    for row in range(len(batch["ids"])):
        scored = (batch["weight"][row] > 0).nonzero().flatten()
        ids, target = batch["ids"][row], batch["target"][row]
        inner = scored[:-1][batch["conversation"][row][scored[:-1] + 1] >= 0]
        assert len(inner) > 5
        assert (ids[inner + 1] == target[inner]).all()


def test_sizes_of_batches_grow_and_a_quarter_is_native_later_on():
    early = [canvas(step, 1000, 0, GRID) for step in range(100)]
    late = [canvas(step, 1000, 0, GRID) for step in range(700, 1000)]
    assert all(LEAST <= side < GRID for shape in early for side in shape)
    assert len(set(early)) > 30 and any(rows != cols for rows, cols in early)
    assert 0.15 < np.mean([shape == (GRID, GRID) for shape in late]) < 0.4
    assert {side for shape in late for side in shape} == set(range(LEAST, GRID + 1))
    assert NATIVE_FROM > 0 and batch_size(5000, 576, 190) < batch_size(5000, 100, 190)


def test_no_two_batches_of_a_training_show_the_same_upload():
    firsts = sorted(first_upload(step, seed) for seed in (0, 1, 1000) for step in range(3000))
    assert min(np.diff(firsts)) >= 10_000 > batch_size(74_000, LEAST * LEAST)


def test_clips_are_shown_with_4_to_32_frames_at_several_sizes():
    shown = [watching.clip_shape(step, 1000, 0) for step in range(600)]
    assert {frames for frames, _ in shown} == {4, 8, 12, 16, 24, 32}
    assert len({shape for _, shape in shown}) > 10
    assert all(side % 2 == 0 for _, shape in shown for side in shape)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_one_step_of_answers_moves_every_part_but_the_encoder_and_reads_every_token(kind):
    tokenizer, module = make_tokenizer(), build_video if kind == "video" else build
    model = module.untrained(tokenizer, seed=0)
    model.model.vision_tower.requires_grad_(False)
    if kind == "image":
        learner, batch = answering.Student(model, 10), answering.batch(0, steps=10, seed=0, rows=1)
        side, patches = batch["picture"].shape[1:3], 1
    else:
        learner, batch = watching.Watcher(model, 10), watching.batch(1, steps=10, seed=0, rows=1)
        side, patches = batch["frames"].shape[2:4], 4
    frames = batch["frames"].shape[1] if kind == "video" else 1
    tokens = frames * (side[0] // PATCH) * (side[1] // PATCH) // patches
    assert learner.visual(batch).shape[1] == tokens + (kind == "video")
    value, _ = learner.loss(batch, step=0)
    value.backward()
    still = [name for name, p in learner.named_parameters() if p.requires_grad and p.grad is None]
    assert not still
    assert all(p.grad is None for p in model.model.vision_tower.parameters())


def test_the_features_taught_on_are_those_that_transformers_takes_at_the_native_size():
    tokenizer = make_tokenizer()
    model = build.untrained(tokenizer, seed=0)
    scene = scene_of(1, (GRID, GRID))
    batch = {"picture": torch.from_numpy(scene.picture.copy())[None]}
    ours = answering.Student(model, 10).visual(batch)
    theirs = model.model.get_image_features(build.pixels(batch["picture"])).pooler_output
    assert torch.allclose(ours[0], theirs[0], atol=1e-5)


def test_pooling_of_a_square_frame_is_the_models_own():
    model = build_video.untrained(make_tokenizer(), seed=0).model
    tokens = torch.randn(2, build_video.GRID**2, 8)
    ours = watching.pooled_tokens(tokens, build_video.GRID, build_video.GRID)
    assert torch.allclose(ours, model.apply_pooling(tokens), atol=1e-6)


def test_training_imports_no_compression():
    """No method, no position strategy, no pipeline: nothing is tuned to what is measured."""
    folder = ROOT / "models" / "embedded" / "training"
    tools = {"probe.py", "attention.py"}  # they measure trained models
    paths = [path for path in folder.glob("*.py") if path.name not in tools]
    assert len(paths) > 8
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                forbidden = ("pruning", "app", "models.engine.pipeline")
                assert not name.startswith(forbidden), (path, name)
                assert not name.startswith("models.") or name.startswith("models.embedded"), path


@torch.no_grad()
def test_a_deeper_model_begins_with_what_the_shallower_one_says():
    tokenizer = make_tokenizer()
    old, new = build.untrained(tokenizer, seed=1), build.untrained(tokenizer, seed=2)
    old.model.language_model.layers = old.model.language_model.layers[:8]
    begin_from(new, tokenizer, old, tokenizer)
    embedded = torch.randn(1, 12, build.WIDTH)

    def said(model):
        hidden, llama = embedded, model.model.language_model
        rope = llama.rotary_emb(hidden, torch.arange(12)[None])
        for layer in llama.layers:
            hidden = layer(hidden, position_embeddings=rope)
        return model.lm_head(llama.norm(hidden))

    assert torch.allclose(said(new), said(old), atol=1e-5)


def test_position_embeddings_are_stretched_and_stay_in_order():
    ramp = torch.arange(12.0).repeat(12)[:, None]  # the column of each cell
    columns = stretched(ramp, 24 * 24).view(24, 24)
    assert (columns[:, 1:] > columns[:, :-1]).all() and torch.equal(columns[0], columns[-1])
    assert torch.equal(stretched(ramp, 144), ramp)


@torch.no_grad()
def test_the_video_model_begins_with_the_picture_models_layers_and_words():
    tokenizer = make_tokenizer()
    pictures = build.untrained(tokenizer, seed=1)
    video = build_video.untrained(tokenizer, seed=2)
    begin_video(video, tokenizer, pictures, tokenizer)
    ours, theirs = video.model.language_model, pictures.model.language_model
    assert torch.equal(ours.embed_tokens.weight, theirs.embed_tokens.weight)
    for mine, yours in zip(ours.layers, theirs.layers, strict=True):
        assert torch.equal(mine.self_attn.q_proj.weight, yours.self_attn.q_proj.weight)


def test_either_model_fits_in_32_megabytes_in_16_bits():
    tokenizer = make_tokenizer()
    for module in (build, build_video):
        model = module.untrained(tokenizer, seed=0)
        assert sum(p.numel() for p in model.parameters()) * 2 < 32_000_000
