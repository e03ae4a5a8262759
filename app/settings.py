"""What whoever runs TokenScope may set, each from an environment variable of the same name."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
PREFIX = "TOKENSCOPE_"


@dataclass(frozen=True)
class Settings:
    """Limits and defaults; `TOKENSCOPE_MAX_NEW_TOKENS=128` sets `max_new_tokens`."""

    model: str = "embedded-image"
    max_new_tokens: int = 128  # the most a person may ask for
    max_lanes: int = 4
    max_frames: int = 64  # that a person may have sampled of a clip
    max_upload_mb: int = 20
    queue_size: int = 16
    device: str = ""  # empty: CUDA where there is one; "cuda:0,cuda:1" spreads lanes over both
    dtype: str = ""  # empty: bfloat16 on CUDA, float32 on the CPU
    worker: str = "local"  # or "ray"
    replicas: int = 1  # of a Ray worker, from the start
    most_replicas: int = 0  # that Ray may start when many wait; 0: no more than `replicas`
    replica_gpus: float = 0.0  # of the cluster's, for each replica
    spread: int = 1  # replicas that the lanes of one job are spread over
    visitor_jobs: int = 2  # that one visitor may have waiting or running
    metrics_port: int = 0  # of Prometheus metrics, for this machine only; 0: none
    phase_seconds: int = 120  # that a phase of a lane may take
    job_seconds: int = 600  # that a comparison may take, once it runs

    @classmethod
    def from_environment(cls) -> Settings:
        values = {}
        for field in fields(cls):
            text = os.environ.get(PREFIX + field.name.upper())
            if text is None:
                continue
            try:
                values[field.name] = type(field.default)(text)
            except ValueError:
                wanted = type(field.default).__name__
                raise ValueError(
                    f"{PREFIX}{field.name.upper()} is {text!r}, wanted {wanted}."
                ) from None
        return cls(**values)
