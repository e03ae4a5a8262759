"""Imported before torch: threads of OpenMP that wait for work sleep, and leave the core to others.

By default they spin for a while, which costs nothing on an idle machine and a great deal on a busy
one: see docs/benchmarks.md, or run `python -m app.measure.openmp`. A policy that is set stays.
"""

from __future__ import annotations

import os

NAME = "OMP_WAIT_POLICY"

os.environ.setdefault(NAME, "passive")
