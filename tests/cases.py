"""The table of all methods. Every law of pruning and models runs on each of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pruning.base import CompressionMethod
from pruning.methods import create


@dataclass(frozen=True)
class Case:
    """A method with its knobs: an easy case first, then a hard one."""

    id: str
    name: str  # as `create` takes it
    knobs: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    least_frames: int = 1  # of a clip for which the ratio is large enough
    wide: bool = True  # False: on all models but the first in `make test-rest` alone

    def create(self, **overrides: Any) -> CompressionMethod:
        return create(self.name, **{**self.knobs, **overrides})

    @property
    def has_ratio(self) -> bool:
        return hasattr(self.create(), "retention_ratio")

    def takes(self, media: str) -> bool:
        """Whether the method works on an image, or on a video."""
        return media in self.create().media


CASES = (
    Case("vanilla", "vanilla", notes="the identity, without knobs"),
    Case("random", "random", {"retention_ratio": 0.5}),
    Case("random-hard", "random", {"retention_ratio": 0.1, "seed": 7}),
    Case("grid", "grid", {"retention_ratio": 0.25}),
    Case("grid-hard", "grid", {"retention_ratio": 0.37}, "no grid has this count"),
    Case("downsample", "downsample", {"retention_ratio": 0.4}),
    Case("downsample-hard", "downsample", {"retention_ratio": 0.05}, "a picture of a token or two"),
    Case("pooling", "pooling", {"retention_ratio": 0.25}),
    Case("pooling-hard", "pooling", {"retention_ratio": 0.37}, "no grid has this count"),
    Case("visionzip", "visionzip", {"retention_ratio": 0.5}),
    Case(
        "visionzip-hard",
        "visionzip",
        {"retention_ratio": 0.15, "contextual_share": 0.5},
        "as many contextual tokens as dominant ones",
    ),
    Case("visionzip-fix", "visionzip:fix", {"retention_ratio": 0.3}),
    Case("prumerge", "prumerge", {"retention_ratio": 0.4}),
    Case(
        "prumerge-hard",
        "prumerge",
        {"retention_ratio": 0.07, "neighbours": 256},
        "hardly any but the extra token, and each takes in all",
    ),
    Case("prumerge-plus", "prumerge-plus", {"retention_ratio": 0.4}),
    Case("prumerge-plus-hard", "prumerge-plus", {"retention_ratio": 0.9}, "a grid of every token"),
    Case("holov", "holov", {"retention_ratio": 0.4}),
    Case(
        "holov-hard",
        "holov",
        {"retention_ratio": 0.8, "chunks": 5, "rank_by": "score", "alpha": 1.0},
        "chunks are given more than they hold",
    ),
    Case("holov-official", "holov:official", {"retention_ratio": 0.8}, "zeros instead"),
    Case("hivtp", "hivtp", {"retention_ratio": 0.5}),
    Case(
        "hivtp-hard",
        "hivtp",
        {"retention_ratio": 0.13, "quadrant_share": 0.0},
        "windows only, larger ones",
    ),
    Case("divprune", "divprune", {"retention_ratio": 0.4}),
    Case(
        "divprune-hard",
        "divprune",
        {"retention_ratio": 0.95},
        "nearly all, whatever is left",
        wide=False,
    ),
    Case("cdpruner", "cdpruner", {"retention_ratio": 0.2}),
    Case(
        "cdpruner-hard",
        "cdpruner",
        {"retention_ratio": 0.7, "relevance": "unlike"},
        "more tokens than the features span",
        wide=False,
    ),
    Case("vscan", "vscan", {"retention_ratio": 0.4}),
    Case("vscan-hard", "vscan", {"retention_ratio": 0.1, "stage_ratio": 16.0}, "windows get none"),
    Case("vscan-qwen", "vscan:qwen2.5-vl", {"retention_ratio": 0.4, "local_share": 0.9}),
    Case("fastervlm", "fastervlm", {"retention_ratio": 0.3}, wide=False),
    Case("vispruner", "vispruner", {"retention_ratio": 0.4}),
    Case(
        "vispruner-hard",
        "vispruner",
        {"retention_ratio": 0.13, "important_share": 0.0, "per_round": 64},
        "a round would drop more than the half that it compares",
        wide=False,
    ),
    Case("fastv", "fastv", {"retention_ratio": 0.6}),
    Case("fastv-hard", "fastv", {"retention_ratio": 0.3}, "few are left after the pruning layer"),
    Case("fastv-fix", "fastv:fix", {"retention_ratio": 0.5}),
    Case("sparsevlm", "sparsevlm", {"retention_ratio": 0.5}),
    Case(
        "sparsevlm-hard",
        "sparsevlm",
        {"retention_ratio": 0.2, "recycle_share": 1.0, "cluster_share": 0.5},
        "everything dropped is merged, and clusters take half of each stage",
    ),
    Case("sparsevlm-plus", "sparsevlm:plus", {"retention_ratio": 0.5}),
    Case(
        "sparsevlm-plus-hard",
        "sparsevlm:plus",
        {"retention_ratio": 0.97, "numbering": "rpme"},
        "the first stages keep all",
    ),
    Case("pyramiddrop", "pyramiddrop", {"retention_ratio": 0.5}),
    Case(
        "pyramiddrop-hard",
        "pyramiddrop:early",
        {"retention_ratio": 0.2},
        "the last stage keeps a token or two",
    ),
    Case("feather", "feather", {"retention_ratio": 0.5}),
    Case(
        "feather-hard",
        "feather:early",
        {"retention_ratio": 0.2, "stride": 1},
        "no room for the grid, so its stride grows",
    ),
    Case("ivcprune", "ivcprune", {"retention_ratio": 0.7}),
    Case(
        "ivcprune-hard",
        "ivcprune",
        {"retention_ratio": 0.17, "layer": 1, "position_share": 0.4, "seed_share": 0.2},
        "a handful of survivors, nearly all of them for their place",
    ),
    Case("sgl", "sgl", {"retention_ratio": 0.6}),
    Case(
        "sgl-hard",
        "sgl",
        {"retention_ratio": 0.28, "depth_share": 0.01, "numbering": "rpme"},
        "the guide alone decides, before the second layer",
    ),
    Case("dart", "dart", {"retention_ratio": 0.5}),
    Case(
        "dart-hard",
        "dart",
        {"retention_ratio": 0.28, "visual_pivots": 64, "text_pivots": 0},
        "as many pivots as survivors",
    ),
    Case("v2drop", "v2drop", {"retention_ratio": 0.5}),
    Case("v2drop-hard", "v2drop:qwen2-vl", {"retention_ratio": 0.2}, "one token in the end"),
    Case("nuwa", "nuwa", {"retention_ratio": 0.3}),
    Case(
        "nuwa-hard",
        "nuwa",
        {"retention_ratio": 0.8, "self_weight": "normalized", "numbering": "perc"},
        "stage 1 keeps everything, so stage 2 pays alone",
    ),
    Case("nuwa-paper", "nuwa:paper", {"retention_ratio": 0.5}),
    Case(
        "nuwa-paper-hard",
        "nuwa:paper",
        {"retention_ratio": 0.1, "pillar_by": "feature_norm", "numbering": "rpme_affine"},
        "a handful of survivors",
    ),
    Case("nuwa-qwen", "nuwa:qwen2.5-vl", {"retention_ratio": 0.5}),
    Case(
        "nuwa-qwen-hard",
        "nuwa:qwen2.5-vl",
        {"retention_ratio": 0.06, "per_cell": 4, "pillar_quantile": 1.0},
        "every token is a candidate, and all survivors but one gather",
    ),
    Case("flashvid", "flashvid", {"retention_ratio": 0.5, "min_segments": 2}),
    Case(
        "flashvid-hard",
        "flashvid:official",
        {"retention_ratio": 0.2, "merge_threshold": 0.0, "segment_threshold": -1.0},
        "nearly everything may merge, and lone frames merge what they selected",
    ),
    Case("flashvid-qwen", "flashvid:qwen2.5-vl", {"retention_ratio": 0.8}, "everything to layer K"),
    Case("flashvid-trees", "flashvid", {"retention_ratio": 0.1, "alpha": 0.0, "min_segments": 1}),
    Case("fastvid", "fastvid", {"retention_ratio": 0.4, "min_segments": 2}),
    Case(
        "fastvid-hard",
        "fastvid",
        {"retention_ratio": 0.7, "context_share": 0.9, "anchor_interval": 64},
        "more anchors than their frames can hold",
    ),
    Case("prunevid", "prunevid", {"retention_ratio": 0.4}),
    Case(
        "prunevid-hard",
        "prunevid",
        {"retention_ratio": 0.2, "static_threshold": -1.0, "segment_share": 0.01},
        "the whole clip stands still",
    ),
    Case("ttm", "ttm", {"retention_ratio": 0.5}),
    Case("ttm-hard", "ttm", {"retention_ratio": 0.1, "merge_threshold": -1.0}, "all chains"),
    Case("evs-hard", "evs", {"retention_ratio": 0.13}, "little more than a frame", least_frames=8),
    Case("evs", "evs", {"retention_ratio": 0.5}, least_frames=2),
    Case("vidcom2", "vidcom2", {"retention_ratio": 0.5}),
    Case(
        "vidcom2-hard",
        "vidcom2:qwen2.5-vl",
        {"retention_ratio": 0.07, "channel_share": 0.01, "temperature": 1.0},
        "fewer tokens than frames, and one channel",
    ),
    Case("holitom", "holitom", {"retention_ratio": 0.5}),
    Case(
        "holitom-hard",
        "holitom",
        {"retention_ratio": 0.1, "static_threshold": -1.0, "stage_ratio": 8.0},
        "the whole clip is one still segment",
    ),
    Case("dycoke", "dycoke", {"retention_ratio": 0.55}, least_frames=2),
    Case(
        "dycoke-hard",
        "dycoke:qwen2.5-vl",
        {"retention_ratio": 0.5, "decode_drop": 0.99, "layer": 1, "numbering": "rpme"},
        "first frames alone in a short clip, and a token in decode",
        least_frames=2,
    ),
    Case("framefusion", "framefusion", {"retention_ratio": 0.4}),
    Case(
        "framefusion-hard",
        "framefusion",
        {"retention_ratio": 0.05, "stage_ratio": 16.0},
        "fewer tokens than places, so places merge",
    ),
    Case("frames", "frames", {"retention_ratio": 0.5}),
    Case("frames-hard", "frames", {"retention_ratio": 0.23}, "less than a frame of a short clip"),
    Case("composed", "visionzip.before+fastv.inner+rpme", {"retention_ratio": 0.4}),
    Case(
        "composed-hard",
        "prumerge.before+feather:early.inner",
        {"retention_ratio": 0.2, "stage_ratio": 16.0},
        "a grid meets tokens without a place",
    ),
    Case(
        "composed-stages",
        "sparsevlm.inner+pooling.before",
        {"retention_ratio": 0.3, "stage_ratio": 6.0},
        "pooled on a projected grid, then clustered in three stages",
    ),
    Case(
        "composed-trimmed",
        "holov:official.before+ivcprune.inner+perc",
        {"retention_ratio": 0.6},
        "zeros without a place, and caches that are trimmed",
    ),
    Case(
        "composed-clip",
        "flashvid.before+prunevid.inner",
        {"retention_ratio": 0.15, "stage_ratio": 16.0},
        "trees, of which each frame keeps its own",
    ),
    Case(
        "composed-guided",
        "visionzip.before+sgl.inner",
        {"retention_ratio": 0.4},
        "[CLS] has no place on the guide's picture",
    ),
    Case(
        "composed-pixels",
        "downsample.before+fastv.inner",
        {"retention_ratio": 0.4},
        "FastV prunes the tokens of a smaller picture",
        wide=False,
    ),
    Case(
        "composed-mixed",
        "dart.inner@2+fastv.inner@12",
        {"retention_ratio": 0.4},
        "two methods that need other signals, at layers of their own",
        wide=False,
    ),
    Case(
        "composed-mixed-hard",
        "visionzip.before+feather.inner@8+sparsevlm.inner@12+feather.inner@24",
        {"retention_ratio": 0.2, "stage_ratio": 16.0},
        "queries with and without rotation, other numbers at each stage, clusters in between",
        wide=False,
    ),
    Case("composed-before", "nuwa:paper.before+rpme_affine", {"retention_ratio": 0.13}),
    Case("composed-inner", "nuwa.inner", {"retention_ratio": 0.6}, "all tokens up to halfway"),
)

ONE_EACH = tuple(
    {case.create().name: case for case in CASES}.values()
)  # the last row of each method
