"""TokenScope from Python: load a model, compare methods, look at answers, tokens and overlays.

from app.notebook import load, overlay

model = load("embedded-image")
comparison = model.compare("cat.png", "Where is the cat?", ["visionzip", "nuwa"])
print(comparison["nuwa"].answer)
overlay(comparison, "nuwa")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.jobs import read_job
from app.render import overlay as fates
from app.request import Request
from app.settings import Settings
from app.worker.events import ComparisonDone
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models.analysis.study import Study
from models.engine.record import Cell, Comparison
from models.loading import load_card
from models.unlisted import adopt
from models.uploads.media import Media, drawn
from models.uploads.read import to_rgb

FREE = {"max_lanes": 1000, "max_new_tokens": 100_000}  # limits for visitors of a page


@dataclass(frozen=True)
class Model:
    """A loaded model that compares methods."""

    name: str
    worker: LocalWorker

    def compare(
        self,
        upload: str | Path | Image.Image | np.ndarray,
        question: str = "",
        methods: Sequence[str] | None = None,
        **options: Any,
    ) -> Comparison:
        """Ask one question: vanilla answers first, then each method.

        Args:
            upload: A picture or clip: a path, or a picture as a PIL image or an (H, W, 3) uint8
                array.
            question: What to ask about it.
            methods: Names such as "nuwa", "nuwa:paper" or "visionzip.before+fastv.inner+rpme".
            **options: Other fields of `app.request.Request`, such as `retention_ratio=0.2`, or
                `locate="the cat"` in place of a question.

        Returns:
            The record: `comparison["nuwa"]` has the answer, the boxes, the times and the trace of
            every visual token.
        """
        return self._run(self._job(upload, question=question, methods=methods, **options))

    def analyse(
        self,
        upload: str | Path | Image.Image | np.ndarray,
        question: str,
        methods: Sequence[str] | None = None,
        *,
        box: tuple[float, float, float, float] | None = None,
        blocked: Sequence[tuple[Any, ...]] = (),
        **options: Any,
    ) -> Comparison:
        """Compare, and measure every layer of every lane: `comparison["nuwa"].analysis`.

        Args:
            upload: As in `compare`, like `question`, `methods` and `options`.
            question: What to ask about it.
            methods: Names of methods.
            box: The object, xyxy in shares of the last frame; default: the true box, if known.
            blocked: Edges to block: the rows that see less, with the first LLM layer and the one
                after the last, such as `("last", (0, 2))`; a third item is what they do not see,
                by default "visual". Roles are those of `models.analysis.cells.ROLES`.
            **options: Other fields of `app.request.Request`.
        """
        job = self._job(upload, question=question, methods=methods, **options)
        box = box or (job.truth.box if job.truth else None)
        return self._run(replace(job, study=Study(box, tuple(Cell(*one) for one in blocked))))

    def _job(self, upload: str | Path | Image.Image | np.ndarray, **fields: Any) -> Job:
        media = upload if isinstance(upload, (str, Path)) else _media(upload)
        return read_job(Request(upload=media, model=self.name, **fields), self.worker.settings)

    def _run(self, job: Job) -> Comparison:
        *_, last = self.worker.run(job)
        assert isinstance(last, ComparisonDone)
        return last.comparison


def load(
    name: str,
    folder: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Model:
    """Load a model by a name that `python -m app models` lists.

    Args:
        name: Such as "embedded-image", or "llava-1.5-7b@random" for random weights.
        folder: Of the weights; default: the hub's cache. Nothing is downloaded.
        device: Default: CUDA if there is one, otherwise the CPU.
        dtype: Default: as of TOKENSCOPE_DTYPE, see docs/settings.md.
    """
    card = adopt(name)
    if folder is not None:
        card = replace(card, source=str(Path(folder).absolute()), revision="")
    settings = Settings(model=name, device=device or "", dtype=dtype or "", **FREE)
    return Model(name, LocalWorker(settings, load_card(card, device, dtype)))


def overlay(comparison: Comparison, method: str, frame: int = 0) -> Image.Image:
    """The picture, or a sampled frame of the clip, with the fate of every visual token."""
    trace = comparison[method].trace
    return fates.overlay(comparison.media.frames[frame], trace, frame)


def _media(picture: Image.Image | np.ndarray) -> Media:
    if isinstance(picture, Image.Image):
        return drawn(np.array(to_rgb(picture)))
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"The picture is {picture.dtype} of shape {picture.shape}, wanted uint8 of shape "
            "(height, width, 3). Give a clip as a file."
        )
    return drawn(picture)
