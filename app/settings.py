"""The settings of a deployment, each read from an environment variable: see docs/settings.md."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
PREFIX = "TOKENSCOPE_"


def setting(default: Any, help: str, least: float | None = None, **options: Any) -> Any:
    """A field of `Settings`: its default, its meaning, and the least value of a number."""
    return dataclasses.field(default=default, metadata={"help": help, "least": least}, **options)


@dataclass(frozen=True)
class Settings:
    """Limits and defaults; `TOKENSCOPE_MAX_NEW_TOKENS=128` sets `max_new_tokens`."""

    # Models and devices
    model: str = setting("embedded-image", "model that the page loads and opens with")
    device: str = setting(
        "",
        "device of the models; cuda:0,cuda:1 spreads lanes over both; empty: CUDA, the GPU of a "
        "Mac, or the CPU",
    )
    dtype: str = setting(
        "",
        "number format; empty: bfloat16 on a GPU, or float16 if it has none, such as a T4; float32 "
        "on the CPU, or bfloat16 for a large model if the CPU multiplies it (AVX512-BF16 or AMX)",
    )
    worker: str = setting(
        "local", "where lanes run: local (this process), ray (a cluster) or zero (ZeroGPU)"
    )
    replicas: int = setting(1, "replicas of a Ray worker at the start", least=1)
    most_replicas: int = setting(
        0, "replicas that Ray may start when many visitors wait; 0: `replicas`", least=0
    )
    replica_gpus: float = setting(0.0, "GPUs of the cluster for each replica", least=0)
    spread: int = setting(1, "replicas that share the lanes of one comparison", least=1)

    # One comparison
    max_new_tokens: int = setting(128, "longest answer that a person may ask for", least=1)
    max_lanes: int = setting(4, "lanes of a comparison, vanilla included", least=1)
    max_frames: int = setting(64, "frames that a person may have sampled from a clip", least=1)
    max_pixels: int = setting(
        1_605_632,
        "pixels of a picture for models that take any size (Qwen), as in lmms-eval: a larger "
        "picture is resized; 0: the checkpoint's own limit",
        least=0,
    )
    phase_seconds: int = setting(120, "time limit of one phase of a lane", least=1)
    job_seconds: int = setting(600, "time limit of a comparison, once it runs", least=1)
    load_seconds: int = setting(
        600, "time limit for loading a model, and for the first run of a method", least=1
    )

    # Uploads
    max_upload_mb: int = setting(20, "size of an upload: a picture, a clip or a recording", least=1)
    max_megapixels: int = setting(50, "size of a picture or frame", least=1)
    max_clip_seconds: int = setting(300, "length of a clip", least=1)
    max_clip_frames: int = setting(18_000, "frames of a clip", least=1)
    read_at_once: int = setting(
        2, "uploads that are read at once, each within the next three limits", least=1
    )
    max_read_seconds: int = setting(120, "time limit for reading one upload", least=1)
    max_read_cpu_seconds: int = setting(
        240, "processor time for reading one upload, over all cores", least=1
    )
    max_read_memory_mb: int = setting(3000, "memory for reading one upload", least=1)
    max_stored_mb: int = setting(
        2000,
        "disk space of all uploads and results, which stay for an hour; a full folder accepts no "
        "upload",
        least=1,
    )
    max_held_mb: int = setting(
        1000,
        "memory for the frames of comparisons that pages show, which stay for an hour; the oldest "
        "are dropped first",
        least=1,
    )

    # Cases
    cases: str = setting(
        "",
        "folder of runs of cases, which every visitor reads; remarks and kept comparisons of "
        "logins, and of browsers on this machine, last in it and are shared; those of other "
        "visitors, and all if it is empty, last for an hour, and no one else sees them",
    )
    max_cases: int = setting(20_000, "cases of one set", least=1)

    # Header
    github: str = setting("", "address of the repository, for a link in the header; empty: none")

    # Visitors
    queue_size: int = setting(
        16, "comparisons that may wait, with those whose upload is being read", least=1
    )
    visitor_jobs: int = setting(
        2, "comparisons of one tab or program that may wait or run", least=1
    )
    address_jobs: int = setting(
        8, "comparisons of one address or login that may wait or run; 0: no limit", least=0
    )
    max_requests_per_minute: int = setting(
        60,
        "jobs, uploads and logins of one address, or of one /64 of IPv6; ten times as many clicks "
        "and opened tabs; 0: no limit",
        least=0,
    )
    users: str = setting("", "name:password,… requires a login; empty: no login", repr=False)
    metrics_port: int = setting(
        0, "port of the Prometheus metrics, for this machine only; 0: no metrics", least=0
    )
    mcp: int = setting(
        0,
        "1: assistants call the page's endpoints as tools (MCP, at /gradio_api/mcp/); needs "
        "pip install 'mcp>=1.21,<2', and no USERS, because assistants have no login; comparisons "
        "of all assistants count as those of one address",
        least=0,
    )
    debug: int = setting(0, "1: the page shows internal errors", least=0)

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least = getattr(self, one.name), one.metadata["least"]
            if least is not None and not value >= least:  # also refuses "not a number"
                raise ValueError(f"{variable(one.name)} is {value}, wanted {least} or more.")

    @classmethod
    def from_environment(cls) -> Settings:
        """The settings of the environment. Raises `ValueError` for a name or value it refuses."""
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
        """Names and passwords; empty if no login is required."""
        pairs = [one.strip().partition(":") for one in self.users.split(",") if one.strip()]
        for name, _, password in pairs:
            if not name or not password:
                raise ValueError(
                    f"{PREFIX}USERS has an entry that is no name:password; wanted "
                    "name:password,name:password without commas or empty parts in them."
                )
        return [(name, password) for name, _, password in pairs]


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def refuse_unknown(names: Iterable[str], given: Iterable[str]) -> None:
    """Refuse a misspelt name, which would leave the page without a limit."""
    for one in sorted(set(given) - set(names)):
        (near,) = get_close_matches(one, names, n=1, cutoff=0)
        raise ValueError(f"There is no setting {one}; the nearest is {near}.")
