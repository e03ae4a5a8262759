"""The papers' tables: their figures, the lanes that stand for them, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from app.measure.asking import Answer, Refusal
from app.measure.findings import tables
from app.measure.findings.answers import Record
from app.measure.findings.lanes import VANILLA
from app.measure.findings.published import TABLES, Table
from app.measure.findings.rates import Rates
from app.measure.findings.study import SEEDS, studies
from app.measure.findings.tables_page import NOT_MEASURED, tables_text
from app.significance import DRAWS, draws, ranks, spearman

UPLOADS = 40  # of each seed
VQA, GROUNDING, VIDEO = TABLES


def rates(table: Table, shares: dict[str, float], refused: str = "") -> Rates:
    """Vanilla answers all right; the lane of each cell the first `shares` of all uploads."""
    cells = [cell for cell in table.cells if cell.method in shares]

    def answers(index: int) -> dict[str, Answer | Refusal]:
        about = ("", "x", None)
        given = {VANILLA.key: Answer(*about, True, 1.0, {"processed": 144.0})}
        for cell in cells:
            right = index < shares[cell.method] * UPLOADS
            answer: Answer | Refusal = Answer(*about, right, cell.lane.ratio, {})
            if cell.method == refused:
                answer = Refusal("too low")
            given[cell.lane.key] = answer
        return given

    return Rates(
        [
            Record(seed, 100 * seed + index, box, None, answers(index))
            for seed in SEEDS
            for index in range(UPLOADS)
            for box in (True, False)
        ]
    )


def shares_of(table: Table, sign: int = 1) -> dict[str, float]:
    """For each method a share that rises, or falls, with its figure in the last column it is in."""
    figures = {cell.method: cell.percent for cell in table.cells}
    order = sorted(figures, key=lambda method: sign * figures[method])
    return {method: (1 + place) / len(order) for place, method in enumerate(order)}


def test_the_lanes_of_all_tables_are_asked() -> None:
    asked = {study.model: set(study.lanes) for study in studies(1, 1)}
    for table in TABLES:
        lanes = {cell.lane for cell in table.cells}
        assert lanes <= asked[table.model]
        assert all(lane.create(1, 0) for lane in lanes)


def test_a_column_stands_for_a_ratio_and_two_rows_for_the_average_they_process() -> None:
    def ratios(table: Table, method: str) -> list[float]:
        return [cell.lane.ratio for cell in table.cells if cell.method == method]

    assert list(VQA.columns) == ["192 tokens", "128 tokens", "64 tokens"]
    assert ratios(VQA, "VisionZip") == [0.333, 0.222, 0.111]
    assert ratios(VQA, "SparseVLM") == [0.359, 0.252, 0.143]
    assert ratios(VIDEO, "FastV") == [0.304, 0.257, 0.211, 0.164]
    assert ratios(VIDEO, "FlashVID") == [0.25, 0.2, 0.15, 0.1]


def test_the_paper_grounds_in_this_order_at_128_tokens() -> None:
    column = [cell for cell in GROUNDING.cells if cell.column == "128 tokens" and cell.ranked]
    order = [cell.method for cell in sorted(column, key=lambda cell: -cell.percent)]
    assert order == [
        *("Nüwa", "Pooling", "VisionZip-fix", "FastV-fix", "FastV", "SparseVLM", "VisionZip")
    ]


@pytest.mark.parametrize(("sign", "rho"), [(1, 1.0), (-1, -1.0)])
def test_the_correlation_is_of_the_order_of_methods(sign: int, rho: float) -> None:
    table = tables.count_table(rates(VIDEO, shares_of(VIDEO, sign)), VIDEO)
    ten = next(one for one in table["correlations"] if one["column"] == "10 %")
    assert ten["rho"] == pytest.approx(rho) and ten["methods"] == 5
    assert ten["low"] <= ten["rho"] <= ten["high"] + 1e-9
    assert table["correlations"][-1]["column"] == "mean"


def test_a_share_is_of_vanilla_and_its_interval_decides_the_level() -> None:
    shares = dict.fromkeys({cell.method for cell in VIDEO.cells}, 0.5) | {"FlashVID": 1.0}
    rows = tables.count_table(rates(VIDEO, shares), VIDEO)["rows"]
    by = {(row["method"], row["column"]): row for row in rows}
    half, whole = by["FastVID", "10 %"], by["FlashVID", "10 %"]
    assert half["ours"] == 50 and half["low"] < 50 < half["high"] and half["beside"] == "lower"
    assert whole["ours"] == whole["low"] == 100 and whole["lead"]
    levels = [tables.level(row["theirs"], 98.0, 99.5) for row in (whole, half)]
    assert levels == ["not decided", "holds"]
    assert tables.level(100.3, 98.0, 99.5) == "does not hold"


def test_a_method_that_refuses_is_shown_and_not_ranked() -> None:
    counted = tables.count_table(rates(VQA, shares_of(VQA), refused="FastV"), VQA)
    assert [one["methods"] for one in counted["correlations"]] == [4, 5, 5, 14]
    text = tables_text([counted])
    assert "| FastV | 64 tokens | 11.1 % | refused: too low |" in text
    assert "64 tokens: 11.1 %, 16 tokens" in text and "A picture has 144 tokens here" in text
    assert text.count(NOT_MEASURED) == 2, "of grounding and clips"


def test_the_settings_of_nuwas_text_have_rows_of_their_own() -> None:
    written = [cell for cell in GROUNDING.cells if cell.lane.method == "nuwa:paper"]
    assert [cell.column for cell in written] == list(GROUNDING.columns)
    assert not any(cell.ranked for cell in written)


def test_spearman_is_the_correlation_of_mean_ranks() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [3.5, 2, 3.5, 1]
    one = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert spearman(one, one**3) == pytest.approx(1)
    assert spearman(one, np.array([5.0, 6.0, 7.0, 8.0, 7.0])) == pytest.approx(0.8208, abs=1e-4)
    assert spearman(one, np.ones(5)) == 0


def test_every_draw_has_as_many_uploads_as_there_are() -> None:
    weights = draws(30)
    assert weights.shape == (DRAWS, 30) and (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.15)
