"""What a lane of the page says of every method at the ratios of the papers."""

from __future__ import annotations

import re

import pytest

from app.settings import Settings
from app.worker.local import LocalWorker
from app.worker.protocol import Job
from models.engine.record import LaneResult
from pruning.methods import METHODS, create
from tests.tiny import clip, picture, tiny_llava, tiny_onevision

RATIOS = (0.333, 0.222, 0.111)
MODELS = {"image": (tiny_llava, picture), "video": (tiny_onevision, clip)}


@pytest.mark.slow  # the laws hold for budgets of every method
@pytest.mark.parametrize("kind", MODELS)
def test_every_method_answers_at_33_22_and_11_percent_or_names_its_smallest_ratio(kind):
    make, upload = MODELS[kind]
    worker, media = LocalWorker(Settings(), make()), upload()
    methods = [one.name for one in METHODS if one.name != "vanilla" and kind in one.media]
    for name in methods:
        asked = tuple(create(name, retention_ratio=ratio) for ratio in RATIOS)
        job = Job(Settings.model, media, "?", asked, max_new_tokens=1, gaze=((0.5, 0.5, 1.0),))
        *_, last = worker.run(job)
        for ratio, lane in zip(RATIOS, last.comparison.lanes, strict=True):
            if isinstance(lane, LaneResult):
                away = abs(lane.trace.average - ratio) * len(lane.trace.layout)
                # A smaller picture has whole rows and columns.
                assert away <= len(media.frames) or name == "downsample", (name, ratio)
            else:
                (smallest,) = re.findall(
                    r"smallest retention ratio here is ([\d.]+) %", lane.reason
                )
                assert float(smallest) > 100 * ratio, name
