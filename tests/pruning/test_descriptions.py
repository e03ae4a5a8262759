"""Docstrings of methods: complete, and in agreement with the classes."""

from __future__ import annotations

import re

import pytest

from pruning.base import CompressionMethod, Seam
from pruning.description import describe
from pruning.methods import METHODS, create

each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


class Example(CompressionMethod):
    """Keep some tokens.

    More of it,
    in two lines. Where one begins so, it is no section.

    Paper      Author et al., arXiv 2601.00001
    Code       owner/name @ 0123abc
    Where      before the LLM,
               on encoder tokens
    Positions  PESP
    Differs    in `nothing`
    """


def test_a_docstring_is_read_part_by_part() -> None:
    text = describe(Example)
    assert text.idea == "Keep some tokens."
    assert text.more == "More of it, in two lines. Where one begins so, it is no section."
    assert text.paper == "Author et al., arXiv 2601.00001"
    assert text.code == "owner/name @ 0123abc"
    assert text.where == "before the LLM, on encoder tokens"
    assert (text.positions, text.differs) == ("PESP", "in `nothing`")


def test_a_docstring_without_a_section_is_refused_by_name() -> None:
    class Incomplete(CompressionMethod):
        """Keep some tokens.

        Paper      none
        Where      nowhere
        """

    with pytest.raises(ValueError, match="Incomplete has no Code, Positions, Differs"):
        describe(Incomplete)


@each_method
def test_every_docstring_has_an_idea_and_every_section(method: type[CompressionMethod]) -> None:
    text = describe(method)
    assert text.idea.endswith(".")
    assert all(vars(text)[part] for part in vars(text) if part != "more")


@each_method
def test_a_docstring_names_the_paper_and_the_code_that_the_class_links(
    method: type[CompressionMethod],
) -> None:
    text = describe(method)
    arxiv = re.search(r"arXiv (\d{4}\.\d{5})", text.paper)
    assert method.paper == (f"https://arxiv.org/abs/{arxiv[1]}" if arxiv else "")
    code = re.match(r"([\w.-]+/[\w.-]+) @ [0-9a-f]{7}\b", text.code)
    assert method.code == (f"https://github.com/{code[1]}" if code else "")


@each_method
def test_a_docstring_names_the_places_where_a_method_acts(
    method: type[CompressionMethod],
) -> None:
    where = describe(method).where
    if where.startswith("as "):
        return  # another's, which this class inherits
    before, _, after = where.partition(", then ")
    acts_before = method.compress is not CompressionMethod.compress
    acts_inside = method.prune is not CompressionMethod.prune
    assert before.startswith("before the LLM") == acts_before
    assert (before.startswith("inside the LLM") or "layer" in after) == acts_inside


@each_method
def test_a_docstring_that_names_a_seam_names_the_right_one(
    method: type[CompressionMethod],
) -> None:
    seams = {
        "pixels": Seam.PIXELS,
        "encoder tokens": Seam.ENCODED,
        "projected tokens": Seam.PROJECTED,
    }
    if on := re.search(r"on (pixels|encoder tokens|projected tokens)", describe(method).where):
        assert method.seam is seams[on[1]]


@each_method
def test_a_docstring_names_the_positions_of_every_preset(
    method: type[CompressionMethod],
) -> None:
    named = set(re.findall(r"PERC|PESP|RPME", describe(method).positions))
    used = set()
    for preset in method.PRESETS:
        positions = create(method.name, preset).positions
        if method.compress is not CompressionMethod.compress:
            used.add(positions.before.name)
        if method.prune is not CompressionMethod.prune:
            used.add(positions.inner.name)
    assert named == used
