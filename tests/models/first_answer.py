"""Times the first answers of LLaVA-OneVision 0.5B in its true shape, from the page.

python -m tests.models.first_answer CACHE      # of tests/models/true_shape.py

Serves the page on the checkpoint and asks vanilla and FlashVID about 4 frames of a shipped clip.
"""

from __future__ import annotations

import os
import sys
import time

from gradio_client import Client, handle_file

from app.measure.server import serve_page
from app.settings import EXAMPLES
from app.worker.conditions import load_text
from tests.models.true_shape import NAME


def measure(cache: str) -> dict[str, object]:
    """Seconds from the start to the page, and from Compare to both answers, cold; the lanes."""
    began, load = time.perf_counter(), load_text()
    with serve_page(HF_HUB_CACHE=cache, TOKENSCOPE_MODEL=NAME) as (address, _):
        served = time.perf_counter()
        client = Client(address, verbose=False)
        asked = time.perf_counter()
        result = client.predict(
            handle_file(EXAMPLES / "clip-1.mp4"),
            "What is in it, and where?",
            model=NAME,
            methods=["flashvid"],
            num_frames=4,
            max_new_tokens=16,
            api_name="/compare",
        )
        answered = time.perf_counter()
    return {
        "load": load,
        "cores": os.cpu_count(),
        "page_seconds": served - began,
        "both_answers_seconds": answered - asked,
        "conditions": result["conditions"],
        "lanes": result["lanes"],
    }


if __name__ == "__main__":
    for name, value in measure(sys.argv[1]).items():
        print(f"{name}: {value}")
