"""Saves an analysis: arrays by lane as npz, every curve as CSV, and the charts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from app.render.chart import chart_png, chart_svg
from app.render.measures import MEASURES, blocking_csv, measure_chart, points, to_csv
from models.engine.record import Comparison, LaneResult

NAME = "tokenscope-analysis"


def zip_analysis(comparison: Comparison, folder: str | Path) -> str:
    """Write `tokenscope-analysis.zip` into `folder` and return its path."""
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        save_analysis(comparison, Path(parts, NAME))
        return shutil.make_archive(str(Path(folder, NAME)), "zip", parts, NAME)


def save_analysis(comparison: Comparison, folder: Path) -> None:
    """Write `curves.csv`, `blocking.csv`, `lane0.npz` …, and charts as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curves.csv").write_text(to_csv(comparison), encoding="utf-8")
    (folder / "blocking.csv").write_text(blocking_csv(comparison), encoding="utf-8")
    for index, lane in enumerate(comparison.lanes):
        if isinstance(lane, LaneResult) and (found := lane.analysis) is not None:
            encoder = {f"encoder_{name}": each for name, each in found.encoder_curves.items()}
            vocabulary = np.array(found.vocabulary, dtype=str)
            arrays = {"maps": found.maps, "words": found.words, "vocabulary": vocabulary}
            np.savez_compressed(folder / f"lane{index}.npz", **found.curves, **encoder, **arrays)  # type: ignore[arg-type]
    for name, measure in MEASURES.items():
        for encoder in (False, True) if measure.encoder else (False,):
            if points(comparison, name, encoder):
                path = folder / f"{'encoder_' if encoder else ''}{name}.png"
                chart = measure_chart(comparison, name, encoder)
                chart_png(chart, path)
                chart_svg(chart, path.with_suffix(".svg"))
