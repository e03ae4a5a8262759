"""Imported before torch: OpenMP's threads spin shortly while they wait for work, then sleep.

By default they spin much longer, which takes cores from other work on a busy machine: see
docs/benchmarks.md, or run `python -m app.measure.openmp`. A policy that is already set stays.
"""

from __future__ import annotations

import os

# libgomp, which torch uses on Linux, reads both; other runtimes read the first.
POLICY = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}

if not POLICY.keys() & os.environ.keys():
    os.environ.update(POLICY)
