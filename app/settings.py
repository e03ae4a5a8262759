"""What whoever runs TokenScope may set, each from an environment variable of the same name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
PREFIX = "TOKENSCOPE_"

# The least of each number; 0 is in it where 0 says "none" or "whatever is needed".
LEAST = {
    "max_new_tokens": 1,
    "max_lanes": 1,
    "max_frames": 1,
    "max_upload_mb": 1,
    "max_stored_mb": 1,
    "queue_size": 1,
    "max_megapixels": 1,
    "max_clip_seconds": 1,
    "max_clip_frames": 1,
    "read_at_once": 1,
    "max_read_seconds": 1,
    "max_read_cpu_seconds": 1,
    "max_read_memory_mb": 1,
    "max_requests_per_minute": 0,
    "debug": 0,
    "replicas": 1,
    "most_replicas": 0,
    "replica_gpus": 0,
    "spread": 1,
    "visitor_jobs": 1,
    "address_jobs": 0,
    "max_held_mb": 1,
    "metrics_port": 0,
    "phase_seconds": 1,
    "job_seconds": 1,
    "load_seconds": 1,
}


@dataclass(frozen=True)
class Settings:
    """Limits and defaults; `TOKENSCOPE_MAX_NEW_TOKENS=128` sets `max_new_tokens`."""

    model: str = "embedded-image"
    max_new_tokens: int = 128  # the most a person may ask for
    max_lanes: int = 4
    max_frames: int = 64  # that a person may have sampled of a clip
    max_upload_mb: int = 20
    max_stored_mb: int = 2000  # of all uploads and results together, for their hour on disk
    queue_size: int = 16
    device: str = ""  # empty: CUDA where there is one; "cuda:0,cuda:1" spreads lanes over both
    dtype: str = ""  # empty: bfloat16 on CUDA, float32 on the CPU
    max_megapixels: int = 50  # of a picture
    max_clip_seconds: int = 300
    max_clip_frames: int = 18_000
    read_at_once: int = 2  # uploads; each may take the memory below
    max_read_seconds: int = 120  # that reading one upload may take
    max_read_cpu_seconds: int = 240  # over all cores
    max_read_memory_mb: int = 3000
    max_requests_per_minute: int = 60  # jobs, uploads and logins of one address; 0 = no limit
    users: str = field(default="", repr=False)  # "name:password,…" asks for a login; empty: none
    debug: int = 0  # 1 = the page shows errors that are not meant for strangers
    worker: str = "local"  # or "ray"; "zero" on ZeroGPU
    replicas: int = 1  # of a Ray worker, from the start
    most_replicas: int = 0  # that Ray may start when many wait; 0: no more than `replicas`
    replica_gpus: float = 0.0  # of the cluster's, for each replica
    spread: int = 1  # replicas that the lanes of one job are spread over
    visitor_jobs: int = 2  # that one tab or program may have waiting or running
    address_jobs: int = 8  # that one address, or login, may have so; 0 = no limit
    max_held_mb: int = 1000  # of frames of all comparisons that pages show; the oldest go first
    metrics_port: int = 0  # of Prometheus metrics, for this machine only; 0: none
    phase_seconds: int = 120  # that a phase of a lane may take
    job_seconds: int = 600  # that a comparison may take, once it runs
    load_seconds: int = 600  # that a model may take to load, or a method's first run

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if not getattr(self, name) >= least:  # nor is "not a number" enough
                raise ValueError(
                    f"{variable(name)} is {getattr(self, name)}, wanted {least} or more."
                )

    @classmethod
    def from_environment(cls) -> Settings:
        names = {variable(one.name) for one in fields(cls)}
        refuse_unknown(names, (one for one in os.environ if one.startswith(PREFIX)))
        values = {}
        for one in fields(cls):
            text = os.environ.get(variable(one.name))
            if text is None:
                continue
            try:
                values[one.name] = type(one.default)(text)
            except ValueError:
                wanted = type(one.default).__name__
                raise ValueError(f"{variable(one.name)} is {text!r}, wanted {wanted}.") from None
        return cls(**values)

    def logins(self) -> list[tuple[str, str]]:
        """Names and passwords; empty where nobody has to log in."""
        pairs = [one.strip().partition(":") for one in self.users.split(",") if one.strip()]
        for name, _, password in pairs:
            if not name or not password:
                raise ValueError(
                    f"{PREFIX}USERS has an entry that is no name:password; wanted "
                    f"name:password,name:password with neither , nor an empty part in it."
                )
        return [(name, password) for name, _, password in pairs]


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def refuse_unknown(known: Iterable[str], given: Iterable[str]) -> None:
    """A misspelt limit would leave the page without it, and nobody the wiser."""
    for one in sorted(set(given) - set(known)):
        near = get_close_matches(one, known, n=1, cutoff=0)
        raise ValueError(f"There is no setting {one}; the nearest is {near[0]}.")
