"""`python -m tests.fuzz`: damaged uploads and odd requests by the thousand; 1 = a surprise."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.requests import Requests
from tests.fuzz.uploads import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="printed; default: now")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, count in (("image", options.images), ("video", options.clips)):
            outcomes, surprises = fuzz(kind, count, options.seed, folder)
            print(f"{count} of kind {kind}: {dict(outcomes)}", flush=True)
            wrong += surprises
        asking = Requests(folder)
        outcomes, surprises = asking.fuzz(options.requests, options.seed)
        asking.demo.close(verbose=False)
        print(f"{options.requests} requests: {dict(outcomes)}")
        wrong += surprises
    print(f"{len(wrong)} surprises", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
